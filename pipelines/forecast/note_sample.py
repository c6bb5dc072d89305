"""A sample of notes: all notes of some patients, dealt into groups, and the text of their windows.

With whole patients, text that was copied from one note of a patient to the next is in the sample.
This module knows no models, times or tables; `text_growth` extrapolates from the sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.forecast.text_growth import GROUPS, TextSample

SAMPLE_NOTES = 2_000
# With fewer patients, one who is unlike all others may decide the result.
LEAST_PATIENTS = 50
# Patients are hashed into this many buckets, and the sample takes whole buckets.
BUCKETS = 50_000


@dataclass(frozen=True, slots=True)
class NoteSample:
    """Some of `number` notes, which together hold `size` characters.

    `notes` has `note_id, text, patient_group`. `by_patient` is false if the notes were drawn one by
    one, because too few patients are named.
    """

    notes: DataFrame
    number: int
    size: int
    by_patient: bool


def draw_sample(notes: DataFrame) -> NoteSample:
    """Draws all notes of enough patients, or single notes if too few patients are named."""
    patient = F.coalesce(F.col("subject_id").cast("string"), "note_id")
    drawn, is_fit = _draw_by(notes, patient)
    if is_fit:
        return drawn
    drawn, _ = _draw_by(notes, F.col("note_id"))
    return replace(drawn, by_patient=False)


def _draw_by(all_notes: DataFrame, key: Column) -> tuple[NoteSample, bool]:
    """Draws all notes of some keys; tells if the keys are enough, none with too many notes."""
    bucket = F.pmod(F.xxhash64(key), F.lit(BUCKETS))
    sizes = (F.count(F.lit(1)).alias("notes"), F.sum(F.length("text")).alias("characters"))
    buckets = all_notes.groupBy(bucket.alias("bucket")).agg(*sizes).orderBy("bucket").collect()
    number = sum(row["notes"] for row in buckets)
    drawn = used = 0
    for row in buckets:
        if drawn >= SAMPLE_NOTES:
            break
        drawn, used = drawn + row["notes"], used + 1
    group = F.pmod(F.xxhash64(key, F.lit("group")), F.lit(GROUPS)).cast("int")
    last = buckets[used - 1]["bucket"] if used else -1
    notes = all_notes.where(bucket <= last).select("note_id", "text", group.alias("patient_group"))
    size = sum(row["characters"] for row in buckets)
    is_even = used >= LEAST_PATIENTS and drawn <= 2 * SAMPLE_NOTES
    is_fit = number <= SAMPLE_NOTES or is_even
    return NoteSample(notes, number, size, by_patient=True), is_fit


def window_text(
    sample: DataFrame, places: DataFrame, missing: DataFrame | None, sizes: dict[int, int]
) -> TextSample:
    """The characters of windows by group: of all windows, or of those that no run has scored.

    Args:
        sample: `note_id, patient_group`.
        places: `note_id, window_hash, characters` of each window of these notes.
        missing: `window_hash` of the windows to be scored, distinct; None: all windows count.
        sizes: characters of the notes of each group.
    """
    groups = F.broadcast(sample.select("note_id", "patient_group"))
    found = places.join(groups, on="note_id", how="inner")
    if missing is not None:
        found = found.join(missing.select("window_hash"), on="window_hash", how="left_semi")
    mask = F.bit_or(F.expr("shiftleft(1, patient_group)")).alias("mask")
    by_window = found.groupBy("window_hash").agg(mask, F.max("characters").alias("characters"))
    distinct = by_window.groupBy("mask").agg(F.sum("characters")).collect()
    return TextSample(
        sizes, amounts_by_group(found, F.sum("characters")), {r[0]: r[1] for r in distinct}
    )


def amounts_by_group(rows: DataFrame, amount: Column) -> dict[int, int]:
    """A sum over the rows of each `patient_group` that has rows."""
    return {row[0]: row[1] for row in rows.groupBy("patient_group").agg(amount).collect()}
