"""What the tests of clusters share: the cluster, some notes, and what a plain local run finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import cluster_processes as shared

# Fixtures of this folder's tests.
processes, strange_python = shared.processes, shared.strange_python
project_zip, job, cluster = shared.project_zip, shared.job, shared.cluster
workplace, spark_environment = shared.workplace, shared.spark_environment

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
        patch.setenv("CLINSPAN_HASH_KEY", shared.HASH_KEY)
        assert main(["--notes", str(notes), "--output", str(root)]) == 0
    found = entity_rows(root)
    assert len(found) > 10
    return found
