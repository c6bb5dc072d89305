"""The values of a run from its settings and its model package."""

from __future__ import annotations

from collections.abc import Sequence

from conf.entity_types import load_entity_types
from conf.hash_key import load_hash_key
from conf.settings import Settings
from conf.version import VERSION
from jobs.command_line.source_values import note_source
from jobs.wiring.choose_engine import choose_engine
from pipelines.run.run_plan import RunPlan
from pipelines.tables.table_root import TableRoot
from udfs.annotation.pipeline_fingerprint import pipeline_fingerprint
from udfs.annotation.steps import AnnotationSettings
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest, ModelPackage


def make_plan(settings: Settings, package: ModelPackage) -> RunPlan:
    """The values of a run from its settings and its model package.

    Raises:
        InputError: the settings name a label that the model does not have, or the engine does not
            run here.
        SettingsError: the hash key is not usable.
    """
    manifest = package.manifest
    _check_labels(settings.entities.labels, manifest)
    annotation = AnnotationSettings(
        model=manifest.name,
        entity_types=load_entity_types(),
        labels=None if settings.entities.labels is None else frozenset(settings.entities.labels),
        min_score=settings.entities.min_score,
    )
    run = settings.run
    engine, fingerprint = choose_engine(settings.model, package)
    return RunPlan(
        source=note_source(settings.notes),
        root=TableRoot.at(settings.output.path, settings.output.schema_name),
        engine=engine,
        key=load_hash_key(settings.security.hash_key_file),
        annotation=annotation,
        model_fingerprint=fingerprint,
        model_source=package.address,
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
