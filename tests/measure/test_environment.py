"""What is recorded about the machine and the versions."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from engine import __version__
from engine.measure import environment


def test_describe_names_machine_versions_and_date() -> None:
    moment = datetime(2025, 3, 1, 14, 30, 5, 999, tzinfo=timezone(timedelta(hours=2)))
    facts = environment.describe(now=moment)
    assert facts["date"] == "2025-03-01T12:30:05+00:00"
    assert facts["kneepoint"] == __version__
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert str(facts["torch"])[0].isdigit()
    assert str(facts["transformers"])[0].isdigit()
    assert isinstance(facts["memory_bytes"], int)
    assert facts["memory_bytes"] > 10**8
    assert facts["cpu"]
    assert facts["system"]


def test_describe_uses_the_present_moment_by_default() -> None:
    date = datetime.fromisoformat(str(environment.describe()["date"]))
    assert abs((datetime.now(UTC) - date).total_seconds()) < 60


def test_no_host_or_user_name_is_recorded() -> None:
    import getpass
    import platform

    text = str(environment.describe())
    names = {platform.node(), getpass.getuser()} - {"", "root", "user", "localhost"}
    assert not [name for name in names if len(name) > 3 and name in text]


def test_torch_is_not_imported() -> None:
    code = "import sys, engine.measure.environment as e; e.describe(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(environment.__file__).parents[2])


def test_cpu_name_is_read_from_cpuinfo(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 1\nmodel name\t: Quick Chip 9000 @ 2 GHz\nflags\t: avx2\n")
    assert environment.cpu_name(cpuinfo) == "Quick Chip 9000 @ 2 GHz"


def test_instructions_that_multiply_matrices_are_read_from_cpuinfo(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Quick\nflags\t\t: fpu avx512_bf16 avx2 avx512f\n\nflags\t\t: fpu\n")
    assert environment.cpu_instructions(cpuinfo) == "avx2 avx512f avx512_bf16"
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n")
    assert environment.cpu_instructions(cpuinfo) == "asimd i8mm bf16"
    assert environment.cpu_instructions(tmp_path / "absent") == ""


def test_cpu_without_a_name_is_called_something(tmp_path: Path) -> None:
    assert environment.cpu_name(tmp_path / "absent")


def test_commit_is_none_outside_a_checkout(tmp_path: Path) -> None:
    assert environment.commit(tmp_path) is None


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    git = ["git", "-C", str(tmp_path), *who]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (tmp_path / "file").write_text("one")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--no-verify", "-m", "one"], check=True)
    return tmp_path


def test_commit_marks_a_changed_checkout(checkout: Path) -> None:
    clean = environment.commit(checkout)
    assert clean is not None
    assert len(clean) == 40
    (checkout / "file").write_text("two")
    assert environment.commit(checkout) == clean + "+"


def test_commit_of_a_checkout_without_any_is_none(tmp_path: Path) -> None:
    subprocess.run(["git", "-C", str(tmp_path), "init", "--quiet"], check=True)
    assert environment.commit(tmp_path) is None
