"""What a run is asked to do, as values, and from where it reads its source."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from pipelines.run import run_record
from pipelines.scoring.torch_engine import Engine
from pipelines.source.note_source import NoteSource
from pipelines.tables.table_root import TableRoot
from udfs.annotation.steps import AnnotationSettings


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Everything that a run needs, as values."""

    source: NoteSource
    root: TableRoot
    engine: Engine
    key: bytes
    annotation: AnnotationSettings
    model_fingerprint: str
    pipeline_fingerprint: str
    settings_digest: str
    code_version: str
    partitions: int | None
    slice_seconds: float
    max_note_characters: int
    wait_seconds: float = 0.0
    model_source: str | None = None


def source_of(spark: SparkSession, plan: RunPlan) -> NoteSource:
    """The source; with `changed_only`, from where the last run with the same settings ended."""
    if not plan.source.changed_only:
        return plan.source
    version = run_record.last_version(
        spark, plan.root, plan.source.describe(), plan.pipeline_fingerprint, plan.settings_digest
    )
    return replace(plan.source, changed_since=version)
