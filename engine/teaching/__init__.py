"""What the pages that teach draw from: a small pack of numbers taken from a model, its teaching pack.

    packs.find(name, weights_sha256)     the pack of a model, or None while nobody has asked for it
    packs.prepare(name, report)          take it from the model, in a process of its own

Nothing in a pack is drawn from random numbers, and each part names the tensor it comes from. Everything here but
`extract` and the modules it calls (`shown_weights`, `straight_through`, `stream`, `next_words`, `students`) is
torch-free.
"""
