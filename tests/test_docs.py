"""Holds the docs against the repository: links, paths, make targets and the commands of jobs."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY, SHIPPED

OLD_NAMES_ALLOWED = {"CHANGELOG.md"}
MOST_LINES = {"README.md": 150, "CONTRIBUTING.md": 120}
SHIPPED_PACKAGE = SHIPPED.relative_to(REPOSITORY).as_posix()
FOLDERS = ("conf", "udfs", "pipelines", "training", "jobs", "tests", "docs", "notebooks", "samples")

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_PATH = re.compile(rf"(?<![\w./:$-])(?:{'|'.join(FOLDERS)})/[\w./*-]*")
_PLACEHOLDER = re.compile(r"[A-Z]{2,}\w*")
_TARGET = re.compile(r"(?<![\w./-])make ((?:[a-z][a-z-]*\b ?)+)")
_JOB = re.compile(r"(?:[\w./-]*/)?(jobs/[\w/]+)\.py")
_STARTERS = ("python", "python3", "spark-submit")
_ASSIGNMENT = re.compile(r"\w+=\S*")


def documents() -> list[str]:
    """Every document, by its path in the repository."""
    named = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "DECISIONS.md"]
    found = [*REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("models/*/README.md")]
    return named + sorted(path.relative_to(REPOSITORY).as_posix() for path in found)


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def code(text: str) -> list[str]:
    """The code blocks of a document, and the code in its lines."""
    return [
        *(block for _, block in _FENCE.findall(text)),
        *_INLINE.findall(_FENCE.sub("", text)),
    ]


def anchors(text: str) -> set[str]:
    """The names by which a page's headings can be linked to."""
    names: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        name = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        names.append(name)
    again = (names[:place].count(name) for place, name in enumerate(names))
    return {f"{name}-{n}" if n else name for name, n in zip(names, again, strict=True)}


def broken_links(text: str, page: Path) -> list[str]:
    """Links and images of a page that lead to no file, folder or heading of the repository."""
    found = []
    for target in _LINK.findall(_FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path
        if not place.exists():
            found.append(f"{page.name}: {target} leads nowhere")
        elif anchor:
            there = place.read_text(encoding="utf-8") if path else text
            if anchor not in anchors(there):
                found.append(f"{page.name}: {target} leads to no heading")
    return found


def missing_paths(text: str) -> list[str]:
    """Paths in code that are not there. Capitals (jobs/NAME.py) and stars stand for any name."""
    found = []
    for piece in code(text):
        for named in _PATH.findall(piece):
            path = named.rstrip(".")
            pattern = _PLACEHOLDER.sub("*", path)
            there = (REPOSITORY / path).exists()
            if not there and not ("*" in pattern and any(REPOSITORY.glob(pattern.rstrip("/")))):
                found.append(path)
    return found


def make_targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def unknown_targets(text: str, targets: set[str]) -> list[str]:
    """Targets in commands of make that the Makefile lacks; a comment ends a command."""
    commands = [line.partition("#")[0] for piece in code(text) for line in piece.splitlines()]
    named = [word for line in commands for words in _TARGET.findall(line) for word in words.split()]
    return [target for target in named if target not in targets]


def command_lines(block: str) -> Iterator[str]:
    """The commands of a block: continued lines joined, the prompt `$` and comments left out."""
    for line in block.replace("\\\n", " ").splitlines():
        command = re.sub(r"(^|\s)#.*$", "", line).strip().removeprefix("$ ")
        yield from (part.strip() for part in re.split(r"&&|;", command) if part.strip())


def job_calls(text: str) -> list[tuple[str, list[str]]]:
    """(module of a job, its arguments) of every command that starts one."""
    calls = []
    for piece in code(text):
        for line in command_lines(piece):
            if "jobs/" not in line:
                continue
            words = shlex.split(line)
            while words and _ASSIGNMENT.fullmatch(words[0]):
                words.pop(0)
            if not words or Path(words[0]).name not in _STARTERS:
                continue
            jobs = [place for place, word in enumerate(words) if _JOB.fullmatch(word)]
            for place in jobs[:1]:
                module = _JOB.fullmatch(words[place])
                assert module is not None
                calls.append((module[1].replace("/", "."), words[place + 1 :]))
    return calls


def refused_calls(text: str) -> list[str]:
    """Commands that the parser of their job refuses, or whose job is not there. No job is run."""
    found = []
    for module, words in job_calls(text):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                importlib.import_module(module).build_parser().parse_args(words)
        except ModuleNotFoundError:
            found.append(f"{module} is not there")
        except SystemExit:
            found.append(f"{module} {shlex.join(words)}: {said.getvalue().splitlines()[-1]}")
    return found


def names_the_package(name: str, text: str) -> bool:
    """Whether a document names the shipped package where it may not: README.md links to its card,
    and no more; its own page, what is past and the card itself may."""
    if name in {"CHANGELOG.md", "docs/models.md"} or name.startswith(
        ("docs/decisions/", "models/")
    ):
        return False
    links = [link for link in _LINK.findall(text) if SHIPPED_PACKAGE in link]
    allowed = len(links) if name == "README.md" and len(links) == 1 else 0
    return text.count(SHIPPED_PACKAGE) != allowed


@pytest.mark.parametrize("name", documents())
def test_links_lead_to_what_is_there(name: str) -> None:
    found = broken_links(text_of(name), REPOSITORY / name)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", sorted(set(documents()) - OLD_NAMES_ALLOWED))
def test_paths_are_there(name: str) -> None:
    found = missing_paths(text_of(name))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", documents())
def test_make_has_every_target(name: str) -> None:
    found = unknown_targets(text_of(name), make_targets(text_of("Makefile")))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", documents())
def test_every_job_takes_the_options_that_it_is_given(name: str) -> None:
    found = refused_calls(text_of(name))
    assert not found, "\n".join(found)


def test_every_job_stands_in_the_list_of_commands() -> None:
    jobs = {f"jobs/{path.name}" for path in (REPOSITORY / "jobs").glob("[a-z]*.py")}
    assert jobs <= set(_INLINE.findall(text_of("docs/commands.md")))


def test_commands_of_many_jobs_are_found() -> None:
    jobs = {module for name in documents() for module, _ in job_calls(text_of(name))}
    assert len(jobs) >= 15, "the search for commands sees too few"


@pytest.mark.parametrize("name", MOST_LINES)
def test_the_first_pages_are_short(name: str) -> None:
    assert len(text_of(name).splitlines()) <= MOST_LINES[name]


@pytest.mark.parametrize("name", documents())
def test_another_package_can_be_shipped_without_a_change_of_the_docs(name: str) -> None:
    assert not names_the_package(name, text_of(name))


# --- Each check sees what it is for -------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[card](docs/absent.md)",
        "![plot](docs/absent.png)",
        "[part](#no-such-heading)\n# A heading\n",
        "[part](docs/security.md#no-such-heading)",
        "[inside](docs/../absent/)",
        "# A\n```\n# not a heading\n```\n[x](#not-a-heading)",
    ],
)
def test_a_broken_link_is_seen(text: str) -> None:
    assert broken_links(text, REPOSITORY / "README.md")


def test_links_that_lead_somewhere_are_let_through() -> None:
    headings = "# Two `words`, (here)\n## Two words here\n### Two words\n"
    links = "[a](#two-words-here-1) [b](#two-words) [c](docs/security.md#keys) [d](tests) "
    assert not broken_links(f"{headings}{links}[e](https://x.org/y)", REPOSITORY / "README.md")


@pytest.mark.parametrize(
    "text",
    [
        "`jobs/absent.py`",
        "see `udfs/absent/`, or",
        "```\ntraining/absent.py   is here\n```",
        "```sh\ntar czf x conf/absent.conf\n```",
        "`docs/absent/*.md`",
        "`tests/absent/test_NAME.py`",
    ],
)
def test_a_path_that_is_not_there_is_seen(text: str) -> None:
    assert missing_paths(text)


def test_paths_that_are_there_are_let_through() -> None:
    assert not missing_paths("`jobs/NAME.py`, `conf/cluster/*.conf`, `tests/`, `../docs/absent.md`")


@pytest.mark.parametrize("text", ["`make absent`", "```sh\nmake setup absent LANE=spark4\n```"])
def test_an_unknown_target_is_seen(text: str) -> None:
    assert unknown_targets(text, {"setup"}) == ["absent"]


def test_what_is_no_target_is_let_through() -> None:
    assert not unknown_targets('`make setup X="make"`\nThese make sense: `make setup`', {"setup"})
    assert make_targets("a-b: c\n\td\n.PHONY: e\nF := g\n") == {"a-b"}


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nspark-submit jobs/verify_tables.py --output ROOT --absent\n```",
        "```sh\n$ python jobs/make_n2c2.py --notes many --output X\n```",
        "```sh\n.venv/bin/python jobs/make_n2c2.py \\\n    --absent X\n```",
        "```sh\nspark-submit --conf a=b jobs/extract_entities.py --notes\n```",
        "`X=1 python jobs/absent.py`",
        "```sh\nmake dist && python jobs/export_model.py\n```",
    ],
)
def test_a_command_that_its_job_refuses_is_seen(text: str) -> None:
    assert len(refused_calls(text)) == 1


def test_commands_are_read_as_a_shell_reads_them() -> None:
    text = """
```sh
# spark-submit jobs/absent.py
A=1 spark-submit --master x --files jobs \\
    jobs/extract_entities.py --notes 'a b' --output ROOT   # and no more
cat jobs/verify_tables.py
```
"""
    expected = ("jobs.extract_entities", ["--notes", "a b", "--output", "ROOT"])
    assert job_calls(text) == [expected]
    assert not refused_calls(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("docs/running.md", f"`--model {SHIPPED_PACKAGE}`"),
        ("docs/running.md", f"[card]({SHIPPED_PACKAGE}/README.md)"),
        ("README.md", f"[card]({SHIPPED_PACKAGE}/README.md) and `{SHIPPED_PACKAGE}`"),
        ("README.md", f"[a]({SHIPPED_PACKAGE}) [b]({SHIPPED_PACKAGE})"),
    ],
)
def test_a_page_that_names_the_package_is_seen(name: str, text: str) -> None:
    assert names_the_package(name, text)
