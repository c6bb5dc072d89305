"""Runs a notebook as it is shipped, in a kernel of this interpreter and a folder of the test."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.support.places import REPOSITORY

NOTEBOOKS = REPOSITORY / "notebooks"
CELL_SECONDS = 600
# As in the shared session: small shuffles, the quick compiler of the JVM, no code generation.
SPARK = {
    "spark.master": "local[2,4]",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.warehouse.dir": "warehouse",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}

Run = Callable[..., dict[str, Any]]


class _ThisInterpreter(KernelSpecManager):
    """The only kernel there is, whatever is installed for the user or the machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="this interpreter", language="python")


@pytest.fixture(scope="session")
def tiny(load_tiny) -> ModuleType:
    """A tiny encoder and an invented corpus, made by `tests/support/tiny_bert.py`."""
    return load_tiny("tiny_bert")


@pytest.fixture
def run_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a notebook with other parameters; returns the values of the wanted expressions.

    Two cells are added to the shipped ones: assignments after the cell with the parameters, and at
    the end one that writes what is wanted.
    """
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))

    def run(name: str, parameters: dict[str, str], wanted: dict[str, str]) -> dict[str, Any]:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        [first] = [
            number
            for number, cell in enumerate(notebook.cells)
            if "parameters" in cell.metadata.get("tags", [])
        ]
        given = "\n".join(f"{key} = {value}" for key, value in parameters.items())
        notebook.cells.insert(first + 1, nbformat.v4.new_code_cell(given))
        values = ", ".join(f"{key!r}: {value}" for key, value in wanted.items())
        place = tmp_path / "wanted.json"
        writes = f"import json\nfrom pathlib import Path\nwanted = {{{values}}}\n"
        writes += f"Path({str(place)!r}).write_text(json.dumps(wanted))"
        notebook.cells.append(nbformat.v4.new_code_cell(writes))
        manager = AsyncKernelManager(kernel_spec_manager=_ThisInterpreter())
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=CELL_SECONDS,
            resources={"metadata": {"path": str(tmp_path)}},
        )
        client.execute(env=_environment(tmp_path))
        return json.loads(place.read_text()) | {"outputs": _texts(notebook)}

    return run


def _environment(folder: Path) -> dict[str, str]:
    ours = ("PYSPARK", "SPARK", "MLFLOW", "CLINSPAN_HASH_KEY")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    options = " ".join(f"--conf '{key}={value}'" for key, value in SPARK.items())
    return kept | {
        "PYSPARK_SUBMIT_ARGS": f"{options} pyspark-shell",
        "CLINSPAN_HASH_KEY": "ef" * 32,
        "IPYTHONDIR": str(folder / "ipython"),
        "OMP_NUM_THREADS": "1",
    }


def _texts(notebook: nbformat.NotebookNode) -> str:
    """Everything that the cells printed or showed, as plain text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output["text"] if "text" in output else output["data"] for output in outputs]
    return "\n".join(text if isinstance(text, str) else text["text/plain"] for text in shown)
