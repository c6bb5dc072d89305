"""Holds the table of who may import whom, and the order of rooms, by reading every import."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.places import REPOSITORY

OURS = frozenset({"conf", "udfs", "pipelines", "training", "jobs", "notebooks", "tests"})
SPARK = frozenset({"pyspark", "delta", "py4j"})


@dataclass(frozen=True)
class Layer:
    """What a folder may import of ours (itself included), and what it may import of nobody."""

    ours: frozenset[str]
    banned: frozenset[str] = frozenset()


LAYERS = {
    "conf": Layer(frozenset({"conf"})),
    "udfs": Layer(frozenset({"udfs"}), SPARK),
    "pipelines": Layer(frozenset({"pipelines", "udfs"}), frozenset({"torch", "argparse"})),
    "training": Layer(frozenset({"training", "udfs"}), SPARK),
    "jobs": Layer(frozenset({"conf", "udfs", "pipelines", "training", "jobs"})),
    "tests": Layer(OURS),
}


# The rooms of each folder from top to bottom: a room imports from rooms below it only, so never
# from one in its own line. Files that stand in no room (ROOMLESS) are outside of the order.
ROOMS = {
    "conf": "",
    "udfs": """
        benchmark
        classifiers spark_nlp
        network stages
        annotation package
        decoding reading
        text
        """,
    "pipelines": """
        benchmark forecast upkeep verification
        run
        catalog imports scoring
        source tables
        spark
        """,
    "training": """
        fine_tuning spacy_models
        encoders foreign_models
        comparison loop package
        examples tracking
        evaluation invented recipes
        corpora
        """,
    "training/corpora/forms": """
        published
        tools
        """,
    "jobs": """
        benchmark set_up
        wiring
        display
        command_line
        """,
}
# What stands in no room, because all rooms use it or because it shows a whole flow.
ROOMLESS = {
    "pipelines": {"entity_extraction", "progress", "schemas", "sql_functions"},
    "training": {"mlflow_model"},
    "udfs": {"arrow_schemas", "errors", "spans", "table_columns"},
}


def imports_of(source: str, package: str) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import of a file in a flat package, however deep it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = f"{package}." if node.level == 1 else ""
            # `from . import x` and `from udfs import x` name their modules in the list.
            listed = [alias.name for alias in node.names]
            start = f"{node.module}." if node.module else ""
            names = [str(node.module)] if "." in start[:-1] else [start + name for name in listed]
            yield from ((node.lineno, inside + name) for name in names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in {"import_module", "__import__"}:
                yield node.lineno, str(node.args[0].value)


def heights(folder: str) -> dict[str, int]:
    """Room → its line, counted from below."""
    lines = [line.split() for line in ROOMS[folder].splitlines() if line.strip()]
    return {room: height for height, line in enumerate(reversed(lines)) for room in line}


def climbs(source: str, folder: str, room: str, place: str) -> list[str]:
    """Imports of a file in a room that lead to a room in its own line or above it."""
    height, package = heights(folder), folder.replace("/", ".")
    found = []
    for line, module in imports_of(source, package=f"{package}.{room}"):
        parts = module.removeprefix(f"{package}.").split(".")
        other = parts[0] if module.startswith(f"{package}.") else None
        if other in height and other != room and height[other] >= height[room]:
            found.append(f"{place}:{line} imports {module}, a room that is not below {room}")
    return found


def breaches(source: str, folder: str, place: str) -> list[str]:
    layer = LAYERS[folder]
    found = []
    for line, module in imports_of(source, package=folder):
        top = module.split(".")[0]
        if (top in OURS and top not in layer.ours) or top in layer.banned:
            found.append(f"{place}:{line} imports {module}, which {folder}/ may not")
    return found


@pytest.mark.parametrize("folder", LAYERS)
def test_folder_imports_only_what_the_table_allows(folder: str) -> None:
    files = sorted((REPOSITORY / folder).rglob("*.py"))
    modules = [path for path in files if path.name != "__init__.py"]
    assert modules, f"{folder}/ holds no module, so this test would prove nothing"
    found = [
        breach
        for path in files
        for breach in breaches(
            path.read_text(encoding="utf-8"), folder, str(path.relative_to(REPOSITORY))
        )
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("conf", "import udfs.errors"),
        ("udfs", "from pyspark.sql import functions"),
        ("udfs", "def f():\n    import pyspark"),
        ("pipelines", "from conf.settings import Settings"),
        ("pipelines", "import torch.nn as nn"),
        ("pipelines", "from argparse import ArgumentParser"),
        ("training", "import importlib\nimportlib.import_module('pyspark.ml')"),
        ("training", "from pipelines import schemas"),
        ("udfs", "from .. import pipelines"),
    ],
)
def test_a_breach_is_seen(folder: str, source: str) -> None:
    assert breaches(source, folder, "example.py")


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("udfs", "from .errors import ClinspanError"),
        ("udfs", "from . import errors"),
        ("pipelines", "from pyspark.sql import DataFrame\nfrom udfs.arrow_schemas import Entity"),
        ("jobs", "import conf, udfs, pipelines, training, argparse, pyspark, torch"),
    ],
)
def test_what_the_table_allows_is_no_breach(folder: str, source: str) -> None:
    assert not breaches(source, folder, "example.py")


@pytest.mark.parametrize("folder", ROOMS)
def test_no_room_imports_from_one_that_is_not_below_it(folder: str) -> None:
    here = REPOSITORY / folder
    rooms = {path.name for path in here.iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(heights(folder)), "give each room its line in ROOMS"
    found = [
        climb
        for room in sorted(rooms)
        for path in sorted((here / room).rglob("*.py"))
        for climb in climbs(
            path.read_text(encoding="utf-8"), folder, room, str(path.relative_to(REPOSITORY))
        )
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("folder", "room", "source"),
    [
        ("udfs", "text", "from udfs.decoding.label_scheme import bio_labels"),
        ("udfs", "text", "import udfs.decoding.label_scheme"),
        ("pipelines", "spark", "from pipelines.tables import table_root"),
        ("pipelines", "spark", "from pipelines import tables"),
        ("pipelines", "source", "from pipelines.tables.table_root import TableRoot"),
        ("training/corpora/forms", "tools", "from training.corpora.forms.published import n2c2"),
        ("jobs", "command_line", "from jobs.wiring.start_session import start_session"),
    ],
)
def test_a_climb_is_seen(folder: str, room: str, source: str) -> None:
    assert climbs(source, folder, room, "example.py")


def test_what_lies_below_is_no_climb() -> None:
    assert not climbs("from udfs.text.text_hash import keyed_hash", "udfs", "annotation", "x.py")
    assert not climbs("from udfs.annotation import steps", "udfs", "annotation", "x.py")
    assert not climbs("from pipelines import schemas", "pipelines", "spark", "x.py")


@pytest.mark.parametrize("folder", ROOMLESS)
def test_what_stands_in_no_room_is_named(folder: str) -> None:
    names = {path.stem for path in (REPOSITORY / folder).glob("*.py")} - {"__init__"}
    assert names == ROOMLESS[folder], "a new module goes into a room, or is named in ROOMLESS"


def test_no_folder_holds_more_than_a_dozen_modules() -> None:
    """The commands in jobs/ apart: their paths stand in crontabs, cards and docs."""
    counts = Counter(
        path.parent.relative_to(REPOSITORY).as_posix()
        for top in ("conf", "udfs", "pipelines", "training", "jobs")
        for path in (REPOSITORY / top).rglob("*.py")
        if path.name != "__init__.py"
    )
    del counts["jobs"]
    assert len(counts) > 30
    assert not {folder: count for folder, count in counts.items() if count > 12}
