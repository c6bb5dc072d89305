"""One hash over all that decides the entity rows of a run: model, rules and filters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields

from udfs.annotation.note_annotation import ANNOTATION_VERSION
from udfs.annotation.steps import AnnotationSettings
from udfs.text.segmentation import SEGMENTATION_VERSION

# The version of each set of rules; a set raises its own whenever it changes rows.
RULE_VERSIONS: Mapping[str, int] = {
    "segmentation": SEGMENTATION_VERSION,
    "annotation": ANNOTATION_VERSION,
}
# The key `model` is taken: it holds the model's fingerprint.
_KEYS = {"model": "model_name"}


def pipeline_fingerprint(model_fingerprint: str, annotation: AnnotationSettings) -> str:
    """sha256 over the model, the versions of the rules and every field of the settings.

    Batch sizes, partitions and places are left out: they change no row. The same input must give
    the same value in every release, else all notes of all users fall due.
    """
    settings = {
        _KEYS.get(field.name, field.name): _plain(getattr(annotation, field.name))
        for field in fields(annotation)
    }
    decisive = {"model": model_fingerprint, **RULE_VERSIONS, **settings}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    """The value of a setting in a form that JSON can hold; a set becomes a sorted list."""
    if isinstance(value, frozenset):
        return sorted(value)
    return dict(value) if isinstance(value, Mapping) else value
