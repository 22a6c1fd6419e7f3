"""`methods` and `tasks`: what there is."""

import pytest

from engine.__main__ import main
from engine.spec import METHODS

pytestmark = pytest.mark.usefixtures("prepared")


def test_methods_tell_each_methods_paper_settings_and_what_is_real(capsys) -> None:
    assert main(["methods"]) == 0
    said = capsys.readouterr().out
    for name, method in METHODS.items():
        assert f"{name}  {method.summary}" in said
        assert method.paper in said
        assert method.real in said
    assert "group_size  int = 64" in said
    assert "in [8, 4096] or -1" in said


def test_tasks_say_where_their_items_come_from(capsys) -> None:
    assert main(["tasks"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "3 items" in lines["piqa"]
    assert "from the hub, at its first use" in lines["blimp"]
    assert "arc_challenge" in lines["five"]
