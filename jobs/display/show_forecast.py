"""Prints a forecast, and after the run how far off it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.table import Table

from jobs.display.show_run import console, duration
from pipelines.forecast.run_forecast import Forecast, Work
from pipelines.forecast.text_growth import Estimate
from pipelines.run.run_record import RunRecord

HOUR = 3600.0
UNKNOWN = "not known"
Line = tuple[str, str, str, str]


def show_forecast(forecast: Forecast, price_per_hour: float | None) -> None:
    """Prints what a run is expected to do."""
    table = Table(title=f"Forecast from {forecast.sampled:,} of {forecast.due.notes:,} notes due")
    for name in ("", "expected", "from", "to"):
        table.add_column(name, justify="right" if name else "left")
    for row in forecast_rows(forecast, price_per_hour):
        table.add_row(*row)
    console.print(table)
    if not forecast.by_patient:
        console.print(
            "The notes name too few patients to draw whole ones, so copies from one note of a "
            "patient to the next were hardly seen: there may be half as much to score",
            markup=False,
        )


def forecast_rows(forecast: Forecast, price_per_hour: float | None) -> list[Line]:
    """Name, expected value and both ends of its interval for each line, in order."""
    rows = list(_work_rows(forecast.due, price_per_hour))
    rows.append(("partitions of the scoring", str(forecast.partitions), "", ""))
    if forecast.speed is not None:
        rows.append(_count("scoring speed, word-pieces/s", forecast.speed))
    if forecast.million is not None:
        for name, value, low, high in _work_rows(forecast.million, price_per_hour):
            rows.append((f"of a million such notes: {name.strip()}", value, low, high))
    return rows


def _work_rows(work: Work, price_per_hour: float | None) -> Iterator[Line]:
    yield _count("word-pieces", work.wordpieces)
    if work.wordpieces.value:
        share = work.distinct.times(1 / work.wordpieces.value)
        yield _line("  distinct share", share, "{:.0%}".format)
    yield _count("  to be scored", work.new)
    if work.seconds is None:
        yield ("time", UNKNOWN, "", "")
        return
    yield _line("time", work.seconds, duration)
    if price_per_hour is not None:
        yield _line("cost", work.seconds.times(price_per_hour / HOUR), "{:,.2f}".format)


def _count(name: str, of: Estimate) -> Line:
    return _line(name, of, "{:,.0f}".format)


def _line(name: str, of: Estimate, show: Callable[[float], str]) -> Line:
    return name, show(of.value), show(of.low), show(of.high)


def show_comparison(forecast: Forecast, records: Sequence[RunRecord], seconds: float) -> None:
    """Prints how far off a forecast was."""
    table = Table(title="How far off the forecast was")
    for name in ("", "expected", "was", "off by"):
        table.add_column(name, justify="right" if name else "left")
    for row in comparison_rows(forecast, records, seconds):
        table.add_row(*row)
    console.print(table)


def comparison_rows(forecast: Forecast, records: Sequence[RunRecord], seconds: float) -> list[Line]:
    """Name, forecast, actual value, and the difference as a share of the actual value."""
    rows = []
    for name, expected, was in forecast.compare(records, seconds):
        off = f"{(expected - was) / was:+.0%}" if was else f"{expected - was:+,.0f}"
        shown = duration if name == "seconds" else "{:,.0f}".format
        label = "time" if name == "seconds" else name
        rows.append((label, shown(expected), shown(was), off))
    return rows
