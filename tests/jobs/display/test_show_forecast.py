from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jobs.display.show_forecast import (
    comparison_rows,
    forecast_rows,
    show_comparison,
    show_forecast,
)
from pipelines.forecast.run_forecast import Forecast, Work
from pipelines.forecast.text_growth import Estimate
from pipelines.run.run_record import RunRecord

DUE = Work(
    notes=500_000,
    wordpieces=Estimate(3e8, 2.9e8, 3.1e8),
    distinct=Estimate(1.8e8, 1.5e8, 2.1e8),
    new=Estimate(1.5e8, 1.2e8, 1.6e8),
    seconds=Estimate(7_200, 5_400, 9_000),
)
FORECAST = Forecast(
    sampled=2_000,
    by_patient=True,
    due=DUE,
    million=replace(DUE, notes=1_000_000, seconds=Estimate(14_000, 10_000, 18_000)),
    partitions=64,
    speed=Estimate(30_000, 27_000, 33_000),
)


@pytest.fixture
def record() -> RunRecord:
    names = ("settings_digest", "code_version", "model", "model_fingerprint")
    return RunRecord(
        **dict.fromkeys((*names, "pipeline_fingerprint", "run_id", "input"), "x"),
        start=datetime(2150, 1, 1, tzinfo=UTC),
        status="done",
        rows_read=400_000,
        notes=400_000,
        wordpieces=300_000_000,
        scored_wordpieces=200_000_000,
    )


def test_a_forecast_is_told_with_its_interval_and_its_cost() -> None:
    rows = {name: values for name, *values in forecast_rows(FORECAST, price_per_hour=1.5)}
    assert rows["word-pieces"] == ["300,000,000", "290,000,000", "310,000,000"]
    assert rows["  distinct share"] == ["60%", "50%", "70%"]
    assert rows["  to be scored"] == ["150,000,000", "120,000,000", "160,000,000"]
    assert rows["time"] == ["2 h 0 min", "1 h 30 min", "2 h 30 min"]
    assert rows["cost"] == ["3.00", "2.25", "3.75"]
    assert rows["of a million such notes: time"] == ["3 h 53 min", "2 h 46 min", "5 h 0 min"]
    assert not [row for row in forecast_rows(FORECAST, None) if "cost" in row[0]]


def test_what_is_not_known_is_not_told(capsys) -> None:
    unknown = replace(FORECAST, due=replace(DUE, seconds=None), million=None, speed=None)
    rows = {name: values for name, *values in forecast_rows(unknown, price_per_hour=1.5)}
    assert rows["time"] == ["not known", "", ""]
    assert "cost" not in rows
    show_forecast(replace(unknown, by_patient=False), 1.5)
    printed = capsys.readouterr().out
    assert "Forecast from 2,000 of 500,000 notes due" in printed
    assert "too few patients" in printed


def test_how_far_off_a_forecast_was(record: RunRecord, capsys) -> None:
    rows = {name: values for name, *values in comparison_rows(FORECAST, [record], 3_600.0)}
    assert rows == {
        "notes": ["500,000", "400,000", "+25%"],
        "word-pieces": ["300,000,000", "300,000,000", "+0%"],
        "  scored in this run": ["150,000,000", "200,000,000", "-25%"],
        "time": ["2 h 0 min", "1 h 0 min", "+100%"],
    }
    # Where nothing had to be done there is no share to be off by.
    nothing = replace(record, notes=0, wordpieces=0, scored_wordpieces=None)
    assert comparison_rows(FORECAST, [nothing], 60.0)[0][3] == "+500,000"
    show_comparison(FORECAST, [record], 3_600.0)
    assert "How far off" in capsys.readouterr().out
