"""LAMBADA (Paperno et al. 2016, arXiv:1606.06031) as OpenAI detokenized it: the last word of a passage.

There are no choices: an answer is right where the model would have written the word itself, token by token.
"""

from engine.tasks.hub import HubData
from engine.tasks.task import Item, Record, Task, text


def read(record: Record, id: int) -> Item:
    context, _, word = text(record, "text").rpartition(" ")
    return Item(id, ((context, f" {word}"),), (word,), gold=None)


TASK = Task(
    name="lambada_openai",
    label="LAMBADA",
    summary="The last word of a passage, without choices",
    columns=("text",),
    normalised=False,
    read=read,
    hub=HubData("EleutherAI/lambada_openai", "900124bf3b8235c6daf21033af9948b3f07346c4", "test", ("default",)),
)
