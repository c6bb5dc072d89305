"""Clinical notes in, entity tables out: the main job.

    spark-submit jobs/extract_entities.py --notes PATH --output ROOT

Parses the flags, starts Spark, calls `pipelines.run.extraction_run` and maps its outcome to an exit
code: 0 done, 1 failed, 2 bad settings or input (nothing written), 3 too many notes quarantined
(good notes are committed), 4 another run holds the root. No message holds note text.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from conf.settings import Settings
from jobs.command_line.exit_codes import DONE, QUARANTINED, exit_code, fail
from jobs.command_line.extraction_options import build_parser, parse_settings
from jobs.display.show_forecast import show_comparison, show_forecast
from jobs.display.show_run import ConsoleProgress, console, show_mentions, show_summary
from jobs.wiring.choose_engine import open_engine
from jobs.wiring.extraction_plan import make_plan
from jobs.wiring.locate_model import locate_model
from jobs.wiring.start_session import start_session
from pipelines.forecast.run_forecast import Forecast, forecast_run
from pipelines.run.extraction_run import run_extraction
from pipelines.run.note_stream import run_stream
from pipelines.run.run_record import RunRecord, frequent_mentions

__all__ = ["build_parser", "main"]
JOB = "extract_entities"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    return exit_code(JOB, lambda: _extract(parse_settings(argv)))


def _extract(settings: Settings) -> int:
    plan = make_plan(settings, locate_model(settings.model.folder))
    spark = start_session(settings.run.app_name)
    engine = open_engine(spark, plan.engine, settings.model.distribute)
    plan = replace(plan, engine=engine)
    records: list[RunRecord] = []
    forecast: Forecast | None = None

    def done(record: RunRecord) -> None:
        records.append(record)
        show_summary(record, plan.root)

    with ConsoleProgress() as progress:
        if settings.run.plan != "none":
            forecast = forecast_run(spark, plan, progress)
            show_forecast(forecast, settings.run.price_per_hour)
            if settings.run.plan == "only":
                return DONE
        started = time.monotonic()
        if settings.run.trigger == "once":
            done(run_extraction(spark, plan, progress))
        else:
            run_stream(spark, plan, settings.run.checkpoint, progress, done)
    if forecast is not None:
        show_comparison(forecast, records, time.monotonic() - started)
    if not records:
        console.print("Nothing came into the source since the last time")
    if settings.run.show_entities:
        show_mentions(frequent_mentions(spark, plan.root, settings.run.show_entities))
    return _verdict(records, settings.run.max_quarantined_fraction)


def _verdict(records: Sequence[RunRecord], allowed: float) -> int:
    for record in records:
        if record.quarantined_fraction > allowed:
            return fail(
                JOB,
                QUARANTINED,
                f"{record.quarantined_notes} of {record.rows_read} rows were quarantined, more "
                f"than run.max_quarantined_fraction {allowed} allows; all other notes are done. "
                f"SELECT rule, detail FROM quarantined_notes WHERE run_id = '{record.run_id}'",
            )
    return DONE


if __name__ == "__main__":
    sys.exit(main())
