"""What the tests of clusters share: the cluster, some notes, and what a plain local run finds."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_place = Path(__file__).parents[1] / "cluster_processes.py"
_spec = importlib.util.spec_from_file_location("cluster_processes", _place)
assert _spec is not None and _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _shared
_spec.loader.exec_module(_shared)

workplace, spark_environment = _shared.workplace, _shared.spark_environment
processes, strange_python = _shared.processes, _shared.strange_python
project_zip, job, cluster = _shared.project_zip, _shared.job, _shared.cluster

NOTES = [
    ("a", "Started metformin for type 2 diabetes. No chest pain."),
    ("b", "Allergic to penicillin (rash).\r\n\r\nNaïve to opioids 😀 aspirin 81 mg daily."),
    ("c", "Started metformin for type 2 diabetes. Hypertension, on lisinopril."),
    ("d", None),
    ("e", "Plan:\n1. Stop heparin because of thrombocytopenia.\n2. Vancomycin for pneumonia."),
    ("f", "Seizures after bupropion; levetiracetam started. Nausea resolved with ondansetron."),
]


@pytest.fixture(scope="session")
def notes(workplace: Path) -> Path:
    rows = (json.dumps({"note_id": note_id, "text": text}) for note_id, text in NOTES)
    path = workplace / "notes.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def entity_rows(spark) -> Callable[[Path], list[tuple]]:
    """The entity rows of a root, but for what names the run."""
    columns = ("note_id", "begin", "end", "text", "label", "entity_type", "entity_id")
    columns += ("model_fingerprint", "pipeline_fingerprint")

    def rows(root: Path) -> list[tuple]:
        entities = spark.read.format("delta").load(f"{root}/entities")
        return sorted(tuple(row) for row in entities.select(*columns).collect())

    return rows


@pytest.fixture(scope="session")
def expected(notes: Path, workplace: Path, entity_rows) -> list[tuple]:
    """The entity rows of a run in one process: a local master, the package in its folder."""
    from jobs.extract_entities import main

    root = workplace / "expected"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINSPAN_HASH_KEY", _shared.HASH_KEY)
        assert main(["--notes", str(notes), "--output", str(root)]) == 0
    found = entity_rows(root)
    assert len(found) > 10
    return found
