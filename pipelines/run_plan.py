"""What a run is asked to do, as values, and what follows from that before any note is read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines import run_record
from pipelines.inference import Engine, task_slots
from pipelines.note_source import NoteSource
from pipelines.table_root import TableRoot
from udfs.note_annotation import AnnotationSettings

# A partition of the inference stage holds about this much text, so that no task grows with the run.
PARTITION_CHARACTERS = 16_000_000


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


class Progress:
    """What a run tells while it works; the command line shows it, a test may ignore it."""

    def step(self, words: str) -> None:
        """A new step begins."""

    def scored(self, characters: int, total: int) -> None:
        """So many characters of new, distinct window text are scored and stored."""


def source_of(spark: SparkSession, plan: RunPlan) -> NoteSource:
    """The source, from where the last run of the same settings over it ended."""
    if not plan.source.changed_only:
        return plan.source
    version = run_record.last_version(
        spark, plan.root, plan.source.describe(), plan.pipeline_fingerprint, plan.settings_digest
    )
    return replace(plan.source, changed_since=version)


def characters_of(rows: DataFrame) -> int:
    """Code points of all texts."""
    total = rows.agg(F.sum(F.length("text"))).first()
    return int(total[0] or 0) if total else 0


def partitions_for(spark: SparkSession, characters: float) -> int:
    """Partitions of the inference stage for so much text: a multiple of what runs at a time."""
    slots = task_slots(spark)
    return max(slots, slots * -int(-characters // (slots * PARTITION_CHARACTERS)))
