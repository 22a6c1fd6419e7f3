from engine.measure.token_tree import TokenTree


def made() -> TokenTree:
    """1 2 3, which 4 follows and 5 6 follow."""
    tree = TokenTree()
    tree.add([1, 2, 3, 4])
    tree.add([1, 2, 3, 5, 6])
    return tree


def test_sequences_share_what_they_begin_with():
    tree = made()
    assert tree.tokens == [1, 2, 3, 4, 5, 6]
    assert tree.parents == [-1, 0, 1, 2, 2, 4]
    assert tree.depths == [0, 1, 2, 3, 3, 4]
    assert not tree.is_chain


def test_add_gives_the_path_of_a_sequence():
    tree = made()
    assert tree.add([1, 2, 3, 5, 6]) == [0, 1, 2, 4, 5]
    assert tree.add([1, 2]) == [0, 1]
    assert len(tree) == 6


def test_a_node_attends_to_itself_and_its_ancestors():
    assert made().ancestors().astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 0, 1, 0],
        [1, 1, 1, 0, 1, 1],
    ]


def test_a_window_keeps_the_nearest_ancestors():
    assert made().ancestors(2).astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 0, 1, 0],
        [0, 0, 0, 0, 1, 1],
    ]


def test_sequences_that_begin_differently_stand_beside_each_other():
    tree = TokenTree()
    tree.add([1, 2])
    tree.add([2, 2])
    assert tree.depths == [0, 1, 0, 1]
    assert not tree.ancestors()[2:, :2].any()


def test_one_sequence_is_a_chain():
    tree = TokenTree()
    tree.add([5, 6, 7])
    assert tree.is_chain
