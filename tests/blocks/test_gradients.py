import torch
from torch import Tensor
from torch.nn import functional

from engine.blocks import gradients
from engine.blocks.gradients import walk_back
from engine.models import LanguageModel


def whole_network(model: LanguageModel, name: str, window: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(input, gradient) of the linear in every block, by differentiating the whole network at once."""
    seen: list[Tensor] = []
    layers = [block.linears[name] for block in model.anatomy.blocks]
    hooks = [layer.register_forward_pre_hook(lambda module, args: seen.append(args[0])) for layer in layers]
    model.anatomy.embedding.weight.requires_grad_()
    logits = model.network(window.unsqueeze(0)).logits[0]
    loss = functional.cross_entropy(logits[:-1], window[1:])
    found = torch.autograd.grad(loss, seen)
    for hook in hooks:
        hook.remove()
    model.anatomy.embedding.weight.requires_grad_(False)
    return [(x.detach()[0], gradient[0]) for x, gradient in zip(seen, found, strict=True)]


def test_block_by_block_is_the_whole_networks_gradient(
    each_family: LanguageModel, windows: Tensor, monkeypatch
) -> None:
    monkeypatch.setattr(gradients, "_TOKENS_AT_ONCE", 7)  # the last part of a window is a short one
    for name in ("mlp.down_proj", "self_attn.o_proj"):
        found: dict[int, tuple[Tensor, Tensor]] = {}

        def visit(block: int, x: Tensor, gradient: Tensor, found=found) -> None:
            found[block] = (x, gradient)

        walk_back(each_family.anatomy, name, windows[:1], lambda done, total: None, visit)
        for block, (x, gradient) in enumerate(whole_network(each_family, name, windows[0])):
            torch.testing.assert_close(found[block][0], x)
            torch.testing.assert_close(found[block][1], gradient, rtol=1e-4, atol=1e-6)


def test_the_model_is_left_as_it_came(tiny_llama: LanguageModel, windows: Tensor) -> None:
    expected = tiny_llama.network(windows).logits
    walk_back(tiny_llama.anatomy, "mlp.down_proj", windows, lambda done, total: None, lambda *seen: None)
    assert torch.equal(tiny_llama.network(windows).logits, expected)
    assert not any(p.requires_grad or p.grad is not None for p in tiny_llama.network.parameters())
