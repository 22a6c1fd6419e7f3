from engine.packages.passages import parts, split


def test_each_distinct_text_lies_on_one_side_and_none_is_excluded():
    passages = [f"Title {i} -- Text number {i}." for i in range(400)]
    found = split([*passages, "Other -- Text  number 7."], excluded=["Text\nnumber 3."])
    both = found.calibration + found.heldout
    assert sorted(both) == sorted(f"Text number {i}." for i in range(400) if i != 3)
    assert not set(found.calibration) & set(found.heldout)
    assert 40 < len(found.heldout) < 120


def test_one_article_stays_on_one_side():
    found = split([f"Same title -- Passage {i}." for i in range(50)], excluded=[])
    assert {len(found.calibration), len(found.heldout)} == {0, 50}


def test_the_side_does_not_depend_on_what_else_is_there():
    alone = split(["A title -- One."], []), split([f"T{i} -- {i}." for i in range(20)] + ["A title -- One."], [])
    assert ("One." in alone[0].heldout) == ("One." in alone[1].heldout)


def test_the_title_ends_at_the_first_dashes():
    assert parts("A -- b -- c") == ("A", "b -- c")
    assert parts("no title") == ("no title", "no title")
