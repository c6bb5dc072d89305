"""The plan of a test's run: what no test is about stands here, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipelines import schemas
from pipelines.run.run_plan import RunPlan
from pipelines.scoring.torch_engine import Engine
from pipelines.source.note_columns import NoteColumns
from pipelines.source.note_source import NoteSource
from pipelines.tables.table_root import TableRoot
from udfs.annotation.steps import AnnotationSettings

KEY = b"k" * 32
ALL_DETAILS = NoteColumns(details={name: (name,) for name in schemas.NOTE_DETAILS})


def plan_of(
    notes: Path | str,
    root: Path | str,
    engine: Engine,
    columns: NoteColumns = ALL_DETAILS,
    **changes: object,
) -> RunPlan:
    """The plan of a run over notes of a path into the tables of a path; `changes` are fields."""
    plan = RunPlan(
        source=NoteSource(columns, path=str(notes)),
        root=TableRoot.at(str(root), None),
        engine=engine,
        key=KEY,
        annotation=AnnotationSettings(model="fake", entity_types={"chemical": "drug"}),
        model_fingerprint="f1",
        pipeline_fingerprint="p1",
        settings_digest="s",
        code_version="0",
        partitions=1,
        slice_seconds=30.0,
        max_note_characters=20_000,
    )
    return replace(plan, **changes)
