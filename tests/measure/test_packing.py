import pytest

from engine.measure.packing import apart, batches, packed, parted
from engine.measure.token_tree import Request, TokenTree


def item(place: int, *sequences: tuple[int, ...]) -> list[Request]:
    return [Request(place, choice, sequence, sequence[-1:]) for choice, sequence in enumerate(sequences)]


def own(place: int, length: int) -> list[Request]:
    """An item of one sequence that begins like no other."""
    return item(place, tuple(range(1000 * place, 1000 * place + length)))


def test_choices_of_an_item_share_what_they_begin_with():
    (row,) = packed([item(0, (1, 2, 3, 4), (1, 2, 3, 5, 6))])
    assert row.tokens == [1, 2, 3, 4, 5, 6]
    assert [scored.nodes for scored in row.scored] == [(3,), (5,)]


def test_items_of_a_row_share_what_they_begin_with_too():
    (row,) = packed([item(0, (1, 2, 3)), item(1, (1, 2, 4))])
    assert len(row) == 4
    assert [scored.item for scored in row.scored] == [0, 1]


def test_rows_hold_whole_items_and_come_out_about_as_long():
    rows = packed([own(place, length) for place, length in enumerate((60, 50, 40, 30, 20))], row_tokens=100)
    assert [len(row) for row in rows] == [110, 90]
    assert sorted(scored.item for row in rows for scored in row.scored) == [0, 1, 2, 3, 4]


def test_few_items_leave_no_row_nearly_empty():
    rows = packed([own(place, 26) for place in range(6)], row_tokens=128)
    assert [len(row) for row in rows] == [78, 78]


def test_an_item_longer_than_a_row_has_one_to_itself():
    rows = packed([own(0, 130), own(1, 10)], row_tokens=100)
    assert [len(row) for row in rows] == [130, 10]


def test_no_row_is_empty():
    assert [len(row) for row in packed([own(0, 500)], row_tokens=100)] == [500]
    assert packed([]) == []


def test_apart_only_equal_sequences_share():
    rows = apart([item(0, (1, 2), (1, 2), (1, 2, 3))])
    assert [row.tokens for row in rows] == [[1, 2, 3], [1, 2]]
    assert [scored.choice for scored in rows[1].scored] == [0, 1]
    assert all(row.is_chain for row in rows)


def test_sequences_up_to_a_length_and_beyond_it_are_parted():
    short, long, both = item(0, (1, 2)), item(1, (1, 2, 3)), item(2, (4, 5), (4, 5, 6))
    assert parted([short, long, both], 2) == [[short, both[:1]], [long, both[1:]]]
    assert parted([short, long], 9) == [[short, long]]
    assert parted([short, long], None) == [[short, long]]
    assert parted([], None) == []


@pytest.mark.parametrize("budget", [1, 40, 1000])
def test_batches_keep_the_order_and_the_budget(budget):
    trees = []
    for length in (50, 30, 20, 9, 9, 9, 1):
        tree = TokenTree()
        tree.add(range(length))
        trees.append(tree)
    made = list(batches(trees, budget))
    assert [one for batch in made for one in batch] == trees
    assert all(len(batch) == 1 or len(batch) * len(batch[0]) <= budget for batch in made)
