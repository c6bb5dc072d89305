"""What a run will have to do and how long it will take, estimated from a sample of the due notes.

The forecast reads and judges the source and compares it with the ledger, as a run does. Then it
looks closely at the notes of some patients, so that it sees what was copied from one note of a
patient to the next. The engine of the run scores some of the windows that no run has scored, for
half a minute. No table is written. `text_growth` has the arithmetic.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import stdev

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.entity_extraction import find_windows, with_text
from pipelines.forecast.note_sample import NoteSample, amounts_by_group, draw_sample, window_text
from pipelines.forecast.text_growth import Estimate
from pipelines.progress import Progress
from pipelines.run.due_notes import compare_with_ledger
from pipelines.run.run_input import open_input
from pipelines.run.run_plan import RunPlan, source_of
from pipelines.run.run_record import RunRecord
from pipelines.run.source_overlap import refuse_overlap
from pipelines.scoring.distinct_windows import distinct_windows, hash_range, partitions_for, size_of
from pipelines.scoring.prediction_table import PredictionTable
from pipelines.source.note_selection import one_row_each
from pipelines.spark.caching import kept
from pipelines.spark.slots import task_slots
from pipelines.tables.definitions import PREDICTIONS, PROCESSED_NOTES
from pipelines.tables.existing_tables import find_table, refuse_other_columns

# The first windows are scored while workers load the model; then `TIMED_PARTS` parts are timed.
FIRST_CHARACTERS = 50_000
TIMED_PARTS = 4
PART_SECONDS = 6.0
# Student's t for a mean of four parts at 95 of 100, divided by the two standard errors by which
# `Estimate.around` widens an interval on both sides.
STUDENT = 3.18 / 2
# Least relative error of the speed: parts that agree may all be wrong in the same way.
LEAST_ERROR = 0.05
# Seconds that a run takes even with few notes: commits and counts.
FIXED_SECONDS = Estimate(30.0, 15.0, 60.0)
# Work on a note besides scoring, as a multiple of finding its windows: that is done twice, then
# its entities are made and written.
PASSES = 4
# Of English clinical text; used if nothing is scored that could tell.
WORDPIECES_PER_CHARACTER = 0.25
# Relative error of word-pieces per character: the ratio is measured on scored windows, which are
# new text, and all text may differ from them by this much.
RATIO_ERROR = 0.05
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """What some notes cost.

    `wordpieces` are those of all windows, `distinct` those of all distinct windows, `new` those of
    distinct windows that no run has scored. `seconds` is None if the speed is not known.
    """

    notes: int
    wordpieces: Estimate
    distinct: Estimate
    new: Estimate
    seconds: Estimate | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will cost, estimated from `sampled` of its notes.

    `due` is the work on all due notes, `million` the work on a million notes like these. `speed` is
    in word-pieces a second. `by_patient` is false if notes were drawn one by one, because too few
    patients are named; then copies within a patient's notes are hardly seen.
    """

    sampled: int
    by_patient: bool
    due: Work
    million: Work | None
    partitions: int
    speed: Estimate | None

    def compare(
        self, records: Sequence[RunRecord], seconds: float
    ) -> list[tuple[str, float, float]]:
        """Name, forecast and true value of the figures of a run (or a stream's micro-batches)."""
        due = self.due
        found = [
            ("notes", float(due.notes), float(sum(r.worked_notes for r in records))),
            ("word-pieces", due.wordpieces.value, float(sum(r.wordpieces or 0 for r in records))),
            (
                "  scored in this run",
                due.new.value,
                float(sum(r.scored_wordpieces or 0 for r in records)),
            ),
        ]
        return found if due.seconds is None else [*found, ("seconds", due.seconds.value, seconds)]


def forecast_run(spark: SparkSession, plan: RunPlan, progress: Progress) -> Forecast:
    """Looks at a sample of the notes that are due, and scores a part of it.

    Args:
        spark: the session.
        plan: the plan of the run.
        progress: is told what happens.

    Raises:
        InputError: the source or the root cannot be used.
    """
    progress.step("reading notes")
    refuse_overlap(plan.root, plan.source.path, plan.source.table)
    started = time.monotonic()
    source = source_of(spark, plan)
    with open_input(spark, source, plan.key, plan.max_note_characters) as notes:
        drawn = draw_sample(_due(spark, plan, notes.rows))
        with kept(drawn.notes) as sample:
            sizes = amounts_by_group(sample, F.sum(F.length("text")))
            reading = time.monotonic() - started
            return _look(spark, plan, drawn, sample, sizes, reading, progress)


def _due(spark: SparkSession, plan: RunPlan, judged: DataFrame) -> DataFrame:
    """The notes that a run would work on."""
    once, _ = one_row_each(judged.where("rule IS NULL"))
    notes = with_text(once.where("NOT withdrawn"))
    ledger = find_table(spark, plan.root, PROCESSED_NOTES)
    if ledger is None:
        return notes
    refuse_other_columns({PROCESSED_NOTES.name: ledger})
    model, pipeline = plan.annotation.model, plan.pipeline_fingerprint
    differing = compare_with_ledger(spark, plan.root, notes, model, pipeline)
    if differing is None:
        return notes
    return notes.join(differing.where("is_due").select("note_id"), on="note_id", how="left_semi")


def _look(
    spark: SparkSession,
    plan: RunPlan,
    drawn: NoteSample,
    sample: DataFrame,
    sizes: dict[int, int],
    reading: float,
    progress: Progress,
) -> Forecast:
    progress.step("finding windows in a sample")
    slots = task_slots(spark)
    windows = find_windows(sample, plan.key).withColumn("characters", F.length("text"))
    with kept(windows.drop("text")) as places:
        every = window_text(sample, places, None, sizes)
        stored = _stored(spark, plan, places)
        with (
            kept(stored) if stored is not None else nullcontext() as known,
            kept(distinct_windows(windows, known, slots)) as missing,
        ):
            progress.step("scoring a part of the sample")
            speed, per_character = _score(plan, missing, places, known)
            new = window_text(sample, places, missing, sizes)
            finding = _seconds_a_character(sample, plan.key, sizes)

    def in_wordpieces(characters: Estimate) -> Estimate:
        found = characters.times(per_character)
        doubt = RATIO_ERROR * found.value
        return found.plus(Estimate(0.0, -doubt, doubt))

    def work(notes: int) -> Work:
        size = drawn.size * notes / drawn.number if drawn.number else 0.0
        to_score = new.distinct_total(size)
        if not drawn.by_patient:
            # Half of clinical text is copied (Steinkamp 2022), mostly within a patient's notes.
            to_score = Estimate(to_score.value, to_score.low / 2, to_score.high)
        to_score = in_wordpieces(to_score)
        scoring = Estimate.exact(0.0)
        if to_score.value and speed is not None:
            scoring = to_score.over(speed)
        others = finding.times(PASSES * size).plus(FIXED_SECONDS)
        again = Estimate.exact(reading * size / drawn.size if drawn.size else reading)
        return Work(
            notes=notes,
            wordpieces=in_wordpieces(every.total(size)),
            distinct=in_wordpieces(every.distinct_total(size)),
            new=to_score,
            seconds=scoring.plus(others).plus(again) if speed or not to_score.value else None,
        )

    return Forecast(
        sampled=sample.count(),
        by_patient=drawn.by_patient,
        due=work(drawn.number),
        million=work(MILLION) if drawn.number else None,
        partitions=plan.partitions or partitions_for(task_slots(spark), drawn.size),
        speed=speed,
    )


def _stored(spark: SparkSession, plan: RunPlan, places: DataFrame) -> DataFrame | None:
    predictions = find_table(spark, plan.root, PREDICTIONS)
    if predictions is None:
        return None
    refuse_other_columns({PREDICTIONS.name: predictions})
    return PredictionTable(spark, plan.root, plan.model_fingerprint).stored(places)


def _score(
    plan: RunPlan, missing: DataFrame, places: DataFrame, stored: DataFrame | None
) -> tuple[Estimate | None, float]:
    """Scores parts of the sample; returns word-pieces a second (all tasks) and a character."""
    _, characters = size_of(missing)
    parts: list[tuple[int, float]] = []
    begin, size = 0.0, FIRST_CHARACTERS / max(characters, 1)
    while characters and begin < 1 and len(parts) <= TIMED_PARTS:
        end = 1.0 if begin + 1.3 * size >= 1 else begin + size
        started = time.monotonic()
        row = plan.engine(hash_range(missing, begin, end)).agg(F.sum("wordpieces")).first()
        seconds = max(time.monotonic() - started, 1e-3)
        parts.append(((row[0] or 0) if row else 0, seconds))
        size, begin = min(4.0, PART_SECONDS / seconds) * (end - begin), end
    scored = sum(wordpieces for wordpieces, _ in parts)
    if scored:
        return _speed(parts), scored / size_of(hash_range(missing, 0.0, begin))[1]
    if stored is not None:
        lengths = places.select("window_hash", "characters").distinct()
        found = stored.join(lengths, on="window_hash", how="inner")
        total = found.agg(F.sum("wordpieces"), F.sum("characters")).first()
        if total and total[1]:
            return None, total[0] / total[1]
    return None, WORDPIECES_PER_CHARACTER


def _speed(parts: Sequence[tuple[int, float]]) -> Estimate:
    """The speed, from the word-pieces and seconds of parts; in the first the model was loaded."""
    timed = [(wordpieces, seconds) for wordpieces, seconds in parts[1:] if wordpieces]
    if len(timed) < 2:
        # Most was scored while the model was loaded: the true speed may be far higher.
        wordpieces, seconds = max(timed or parts, key=lambda part: part[0])
        speed = max(wordpieces, 1) / seconds
        return Estimate(speed, speed / 2, 4 * speed)
    speed = sum(wordpieces for wordpieces, _ in timed) / sum(seconds for _, seconds in timed)
    spread = stdev(wordpieces / seconds for wordpieces, seconds in timed) / len(timed) ** 0.5
    # The interval must not go below half the speed: a quotient by nearly 0 would have no upper end.
    error = min(max(STUDENT * spread, LEAST_ERROR * speed), 0.25 * speed)
    return Estimate.around(speed, error)


def _seconds_a_character(sample: DataFrame, key: bytes, sizes: dict[int, int]) -> Estimate:
    """What finding windows takes: the time for the whole sample less the time for one group of it.

    The difference leaves out what any query takes, whatever it reads. Otherwise that would be
    counted again for every thousand notes.
    """
    few = min(sizes, key=lambda group: sizes[group], default=0)
    size = sum(sizes.values())
    if size == 0:
        return Estimate.exact(0.0)
    seconds = []
    for notes in (sample, sample.where(F.col("patient_group") == few), sample):
        started = time.monotonic()
        find_windows(notes, key).agg(F.sum("end")).first()
        seconds.append(time.monotonic() - started)
    whole = min(seconds[0], seconds[2])
    each = whole / size
    more = max(0.0, whole - seconds[1]) / max(size - sizes[few], 1)
    return Estimate(max(more, each / 4), min(more, each / 4) / 2, each)
