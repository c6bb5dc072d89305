"""Holds the table of who may import whom, by reading every import with `ast`."""

import ast
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


def imports_of(source: str, package: str) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import of a file in a flat package, however deep it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = f"{package}." if node.level == 1 else ""
            # `from . import x` and `from .. import x` name their modules in the list.
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.lineno, inside + name) for name in names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in {"import_module", "__import__"}:
                yield node.lineno, str(node.args[0].value)


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
        for breach in breaches(path.read_text(encoding="utf-8"), folder, f"{folder}/{path.name}")
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
