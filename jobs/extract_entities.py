"""Clinical notes in, entity tables out: the main job.

    spark-submit jobs/extract_entities.py --notes PATH --output ROOT

Parses, starts Spark, calls ``pipelines.run.extraction_run`` and maps its end to an exit code: 0
done, 1 failed, 2 bad settings or input (nothing written), 3 too many notes quarantined (good notes
are committed), 4 another run holds the root. No message holds note text.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from conf.entity_types import load_entity_types
from conf.hash_key import load_hash_key
from conf.settings import Settings
from conf.version import VERSION
from jobs.command_line.exit_codes import DONE, QUARANTINED, exit_code, fail
from jobs.command_line.extraction_options import parse_settings
from jobs.command_line.source_values import note_source
from jobs.display.show_forecast import show_comparison, show_forecast
from jobs.display.show_run import ConsoleProgress, console, show_mentions, show_summary
from jobs.wiring.choose_engine import choose_engine, open_engine
from jobs.wiring.locate_model import locate_model
from jobs.wiring.start_session import start_session
from pipelines.forecast.run_forecast import Forecast, forecast_run
from pipelines.run.extraction_run import run_extraction
from pipelines.run.note_stream import run_stream
from pipelines.run.run_plan import RunPlan
from pipelines.run.run_record import RunRecord, frequent_mentions
from pipelines.tables.table_root import TableRoot
from udfs.annotation.note_annotation import AnnotationSettings
from udfs.annotation.pipeline_fingerprint import pipeline_fingerprint
from udfs.classifiers.model_loading import check_package
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest

JOB = "extract_entities"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    return exit_code(JOB, lambda: _extract(parse_settings(argv)))


def _extract(settings: Settings) -> int:
    settings, source = locate_model(settings)
    manifest = check_package(settings.model.folder)
    plan = replace(make_plan(settings, manifest), model_source=source)
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


def make_plan(settings: Settings, manifest: ModelManifest) -> RunPlan:
    """The values of a run from its settings and its model package.

    Raises:
        InputError: a label is wanted that the model does not have, or the engine does not run here.
        SettingsError: the hash key is not usable.
    """
    _check_labels(settings.entities.labels, manifest)
    annotation = AnnotationSettings(
        model=manifest.name,
        entity_types=load_entity_types(),
        labels=None if settings.entities.labels is None else frozenset(settings.entities.labels),
        min_score=settings.entities.min_score,
    )
    run = settings.run
    engine, fingerprint = choose_engine(settings.model, manifest)
    return RunPlan(
        source=note_source(settings.notes),
        root=TableRoot.at(settings.output.path, settings.output.schema_name),
        engine=engine,
        key=load_hash_key(settings.security.hash_key_file),
        annotation=annotation,
        model_fingerprint=fingerprint,
        pipeline_fingerprint=pipeline_fingerprint(fingerprint, annotation),
        settings_digest=settings.digest(),
        code_version=VERSION,
        partitions=None if run.partitions == "auto" else run.partitions,
        slice_seconds=run.slice_seconds,
        max_note_characters=run.max_note_characters,
        wait_seconds=run.wait_seconds,
    )


def _check_labels(wanted: Sequence[str] | None, manifest: ModelManifest) -> None:
    known = manifest.scheme.entity_labels
    if unknown := sorted(set(wanted or ()) - set(known)):
        raise InputError(
            f"entities.labels holds {', '.join(unknown)}, but the labels of the model "
            f"{manifest.name} are {', '.join(known)}: choose among these, spelt like this"
        )


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
