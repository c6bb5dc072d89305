"""Clinical notes in, entity tables out: the main job.

    spark-submit jobs/extract_entities.py --notes PATH --output ROOT

Parses, starts Spark, calls ``pipelines.extraction_run`` and maps its end to an exit code: 0 done,
1 failed, 2 bad settings or input (nothing written), 3 too many notes quarantined (good notes are
committed), 4 another run holds the root. No message holds note text.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace

from conf.command_line import parse_settings
from conf.entity_types import load_entity_types
from conf.hash_key import load_hash_key
from conf.settings import Settings, SettingsError
from conf.version import VERSION
from jobs.choose_engine import choose_engine, open_engine
from jobs.show_run import ConsoleProgress, show_mentions, show_summary
from jobs.start_session import start_session
from pipelines.extraction_run import RunPlan, run_extraction
from pipelines.note_columns import NoteColumns
from pipelines.note_source import NoteSource
from pipelines.pipeline_fingerprint import pipeline_fingerprint
from pipelines.run_record import RunRecord, frequent_mentions
from pipelines.schemas import NOTE_DETAILS
from pipelines.table_root import RootBusyError, TableRoot
from udfs.bert_config import BertConfig
from udfs.errors import ClinspanError, InputError
from udfs.label_scheme import LabelScheme
from udfs.model_package import CONFIG, ModelManifest, load_manifest
from udfs.note_annotation import AnnotationSettings

DONE, FAILED, BAD_INPUT, QUARANTINED, BUSY = 0, 1, 2, 3, 4
# What a worker of ours says on purpose comes inside an error of Spark's; it holds no note text.
_WORKER_SAYS = re.compile(r"udfs\.errors\.\w+: (.+)")
_WORKER_LACKS = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    try:
        settings = parse_settings(argv)
        manifest = load_manifest(settings.model.folder)
        BertConfig.from_file(settings.model.folder / CONFIG)  # refuses other architectures
        plan = make_plan(settings, manifest)
        spark = start_session(settings.run.app_name)
        engine = open_engine(spark, plan.engine, settings.model.distribute)
        plan = replace(plan, engine=engine)
        progress = ConsoleProgress()
        with progress:
            record = run_extraction(spark, plan, progress)
    except (SettingsError, InputError) as error:
        return _fail(BAD_INPUT, str(error))
    except RootBusyError as error:
        return _fail(BUSY, str(error))
    except ClinspanError as error:
        return _fail(FAILED, str(error))
    except Exception as error:
        if said := _said_by_worker(str(error)):
            return _fail(FAILED, said)
        # The message of a foreign error may quote a note: its class and its frames cannot.
        frames = "".join(traceback.format_tb(error.__traceback__))
        return _fail(
            FAILED, f"{type(error).__name__}; what is committed stays, run again\n{frames}"
        )
    show_summary(record, plan.root)
    if settings.run.show_entities:
        show_mentions(frequent_mentions(spark, plan.root, settings.run.show_entities))
    return _verdict(record, settings.run.max_quarantined_fraction)


def _said_by_worker(error: str) -> str | None:
    """What a message of Spark's tells that a user can mend, without anything around it."""
    if said := _WORKER_SAYS.search(error):
        return said[1].strip()
    if lacks := _WORKER_LACKS.search(error):
        return (
            f"the Python of an executor has no module {lacks[1]!r}: give spark-submit --py-files "
            f"clinspan-{VERSION}.zip (`make dist`) for our modules, and the executors an "
            "environment that has the others"
        )
    return None


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
    columns = settings.notes.columns
    run = settings.run
    engine, fingerprint = choose_engine(settings.model, manifest)
    return RunPlan(
        source=NoteSource(
            columns=NoteColumns(
                note_id=columns.note_id,
                text=columns.text,
                details={name: getattr(columns, name) for name in NOTE_DETAILS},
                withdrawn=columns.withdrawn,
            ),
            path=settings.notes.path,
            table=settings.notes.table,
            format=settings.notes.format,
            limit=settings.notes.limit,
        ),
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
    )


def _check_labels(wanted: Sequence[str] | None, manifest: ModelManifest) -> None:
    known = LabelScheme(manifest.labels).entity_labels
    if unknown := sorted(set(wanted or ()) - set(known)):
        raise InputError(
            f"entities.labels holds {', '.join(unknown)}, but the labels of the model "
            f"{manifest.name} are {', '.join(known)}: choose among these, spelt like this"
        )


def _verdict(record: RunRecord, allowed: float) -> int:
    if record.quarantined_fraction <= allowed:
        return DONE
    return _fail(
        QUARANTINED,
        f"{record.quarantined_notes} of {record.rows_read} rows were quarantined, more than "
        f"run.max_quarantined_fraction {allowed} allows; all other notes are done. "
        "The table quarantined_notes says why",
    )


def _fail(code: int, message: str) -> int:
    print(f"extract_entities: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
