"""Every job ends in one way: it finds the jobs, makes each fail, and looks at what they print."""

import argparse
import ast
import importlib
from pathlib import Path

import pytest

from jobs.command_line.exit_codes import BUSY, DONE, FAILED, exit_code
from tests.support.places import REPOSITORY
from udfs.errors import ClinspanError, InputError, RootBusyError

CANARY = "Jane Canary, born 1970"


def commands() -> list[str]:
    """Every module below jobs/ that is run as a program."""
    found = []
    for path in sorted((REPOSITORY / "jobs").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(
            isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body
        ):
            found.append(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
    return found


def test_every_command_in_jobs_is_found() -> None:
    flat = {path.stem for path in (REPOSITORY / "jobs").glob("*.py")} - {"__init__"}
    assert {f"jobs.{name}" for name in flat} <= set(commands())


class Fatal(BaseException):
    """As PyO3 raises where Rust panics; its message may quote a text."""


class Poisoned(argparse.Namespace):
    """Arguments that cannot be read: each raises what a foreign library might."""

    raised: type[BaseException] = RuntimeError
    was_read = False

    def __getattribute__(self, name: str) -> object:
        if name.startswith("__") and name != "__dict__":
            return super().__getattribute__(name)
        Poisoned.was_read = True
        raise Poisoned.raised(f"could not parse {CANARY}")


@pytest.mark.parametrize("error", [RuntimeError, ValueError, OSError, Fatal])
@pytest.mark.parametrize("module", commands())
def test_a_foreign_error_ends_every_job_without_its_message(
    module: str,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    job = importlib.import_module(module)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda *_, **__: Poisoned())
    monkeypatch.setattr(Poisoned, "raised", error)
    monkeypatch.setattr(Poisoned, "was_read", False)
    assert job.main([]) == FAILED
    assert Poisoned.was_read
    printed = capfd.readouterr()
    assert "Canary" not in printed.out + printed.err
    assert f": error: {error.__name__}; what is committed stays" in printed.err


@pytest.mark.parametrize("module", commands())
def test_every_job_can_show_its_options_and_refuses_others(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    job = importlib.import_module(module)
    assert job.build_parser().format_help().startswith("usage: ")
    with pytest.raises(SystemExit) as ended:
        job.main(["--no-such-option"])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("give another"), 2, "job: error: give another\n"),
        (ClinspanError("no way"), FAILED, "job: error: no way\n"),
        (RootBusyError("later"), BUSY, "job: error: later\n"),
        (
            FileNotFoundError(2, f"about {CANARY}", "/a/b"),
            FAILED,
            "job: error: /a/b: No such file or directory\n",
        ),
    ],
)
def test_what_is_meant_for_users_is_said(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> int:
        raise error

    assert exit_code("job", work) == code
    assert capsys.readouterr().err == said


def test_work_that_returns_nothing_is_done() -> None:
    assert exit_code("job", lambda: None) == DONE


def test_a_user_who_interrupts_is_obeyed() -> None:
    def work() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exit_code("job", work)


def test_a_place_is_named_without_what_was_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("job", lambda: (tmp_path / "absent").read_text() and 0) == FAILED
    assert capsys.readouterr().err == f"job: error: {tmp_path}/absent: No such file or directory\n"
