from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines import schemas
from pipelines.forecast import note_sample, run_forecast
from pipelines.forecast.run_forecast import forecast_run
from pipelines.progress import Progress
from pipelines.run.extraction_run import run_extraction
from pipelines.run.run_plan import RunPlan
from tests.support.run_plans import plan_of
from udfs.errors import InputError

PATIENTS, NOTES_EACH = 120, 5
GREETING = "Seen today."


def write_notes(path: Path, subject: Callable[[int], int | None]) -> Path:
    """Each note of a patient holds the lines of the one before, a new one, and what all have."""
    lines = []
    for patient in range(PATIENTS):
        own = [f"Day {day} of {patient}: takes drug {patient * day} in." for day in range(1, 6)]
        for day in range(NOTES_EACH):
            note = {
                "note_id": f"{patient}-{day}",
                "subject_id": subject(patient),
                "text": "\n\n".join([*own[: day + 1], GREETING]),
            }
            lines.append(json.dumps(note))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def plan(tmp_path: Path, fake_engine) -> RunPlan:
    return plan_of(write_notes(tmp_path / "n.jsonl", lambda p: p), tmp_path / "root", fake_engine)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note_sample, "SAMPLE_NOTES", 150)
    monkeypatch.setattr(note_sample, "LEAST_PATIENTS", 20)
    monkeypatch.setattr(run_forecast, "FIRST_CHARACTERS", 500)


NUMBER = PATIENTS * NOTES_EACH


@pytest.mark.whole
def test_a_sample_tells_what_a_run_does(spark, plan: RunPlan, few: None) -> None:
    forecast = forecast_run(spark, plan, Progress())
    assert not Path(str(plan.root.path)).exists()
    assert 150 <= forecast.sampled <= 300 and forecast.by_patient
    due = forecast.due
    assert due.notes == NUMBER
    record = run_extraction(spark, plan, Progress())
    assert record.wordpieces is not None and record.scored_wordpieces is not None
    assert due.wordpieces.low < record.wordpieces < due.wordpieces.high
    assert due.wordpieces.value == pytest.approx(record.wordpieces, rel=0.05)
    for expected in (due.new, due.distinct):
        assert expected.low < record.scored_wordpieces < expected.high
        assert expected.value == pytest.approx(record.scored_wordpieces, rel=0.2)
    # As if nothing were copied, it would be all.
    assert due.new.high < 0.6 * due.wordpieces.value
    assert forecast.speed is not None and due.seconds is not None and forecast.million is not None
    assert forecast.million.wordpieces.value == pytest.approx(
        due.wordpieces.value * 1e6 / NUMBER, rel=1e-6
    )
    # What a run takes whatever it does is counted once, for a million notes too.
    assert forecast.million.seconds is not None
    assert forecast.million.seconds.value < due.seconds.value * 1e6 / NUMBER

    # What is done is not forecast again, nor what is stored for new rules.
    again = forecast_run(spark, plan, Progress())
    assert (again.due.notes, again.due.new.value, again.million) == (0, 0, None)
    rules = forecast_run(spark, replace(plan, pipeline_fingerprint="p2"), Progress())
    assert (rules.due.notes, rules.due.new.value, rules.speed) == (NUMBER, 0, None)
    assert rules.due.seconds is not None
    assert rules.due.wordpieces.value == pytest.approx(record.wordpieces, rel=0.05)


def test_a_small_source_is_counted(spark, plan: RunPlan) -> None:
    forecast = forecast_run(spark, plan, Progress())
    assert forecast.sampled == forecast.due.notes == NUMBER
    lines = Path(str(plan.source.path)).read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    words = sum(len(text.split()) for text in texts)
    # Exact in characters; in words as far as words are as long in what was scored.
    assert forecast.due.wordpieces.low < words < forecast.due.wordpieces.high
    assert forecast.due.wordpieces.high < 1.1 * words


@pytest.mark.whole
@pytest.mark.parametrize("subject", [lambda _: None, lambda _: 7], ids=["no patient", "one"])
def test_notes_are_drawn_where_patients_cannot_be(
    spark, plan: RunPlan, few: None, subject: Callable[[int], int | None]
) -> None:
    write_notes(Path(str(plan.source.path)), subject)
    forecast = forecast_run(spark, plan, Progress())
    assert 150 <= forecast.sampled <= 300
    # Without patients each note is one of its own, which is all that can be known.
    assert forecast.by_patient == (subject(0) is None)
    assert forecast.due.new.low < forecast.due.new.value


@pytest.mark.whole
def test_few_new_notes_and_refused_ones_are_seen(
    spark, plan: RunPlan, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_extraction(spark, plan, Progress())
    with Path(str(plan.source.path)).open("a") as notes:
        notes.write('\n{"text": "canary without an id"}\nno row at all\n')
        notes.write(json.dumps({"note_id": "new", "subject_id": 1, "text": "Takes insulin."}))
    forecast = forecast_run(spark, plan, Progress())
    assert (forecast.sampled, forecast.due.notes) == (1, 1)
    assert forecast.due.new.value == pytest.approx(2)


class Dumb:
    """A model that fails on everything."""

    def __call__(self, windows: DataFrame) -> DataFrame:
        nothing = F.array().cast(schemas.PREDICTION["spans"].dataType)
        return windows.select(
            "window_hash",
            nothing.alias("spans"),
            F.lit(0).alias("wordpieces"),
            F.lit(0).alias("unread_characters"),
            F.lit("died").alias("failure"),
        )


def test_a_speed_that_cannot_be_told_is_not_told(spark, plan: RunPlan) -> None:
    forecast = forecast_run(spark, replace(plan, engine=Dumb()), Progress())
    assert forecast.speed is None and forecast.due.seconds is None
    assert forecast.due.new.value > 0


def test_a_source_that_a_run_refuses_is_refused(spark, plan: RunPlan) -> None:
    with pytest.raises(InputError, match="changed_only"):
        changed = replace(plan.source, changed_only=True)
        forecast_run(spark, replace(plan, source=changed), Progress())
    Path(str(plan.source.path)).write_text("")
    with pytest.raises(InputError):
        forecast_run(spark, plan, Progress())
