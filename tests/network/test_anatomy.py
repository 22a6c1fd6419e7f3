from engine.models import LanguageModel


def test_anatomy_names_every_weight_of_each_family(each_family: LanguageModel) -> None:
    anatomy = each_family.anatomy
    known = [layer.weight for _, layer in anatomy.linears()]
    known += [norm.weight for block in anatomy.blocks for norm, _ in block.readers]
    known += [anatomy.embedding.weight, anatomy.final_norm.weight]
    known += [anatomy.head.weight] if anatomy.head is not None else []
    within_attention = ("q_norm", "k_norm")
    others = {
        name
        for name, parameter in each_family.network.named_parameters()
        if not any(parameter is weight for weight in known) and not name.endswith(".bias")
    }
    assert all(name.split(".")[-2] in within_attention for name in others)


def test_a_tied_head_is_none(tiny_model) -> None:
    assert tiny_model("llama").anatomy.head is None
    assert tiny_model("mistral").anatomy.head is not None
