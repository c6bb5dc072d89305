"""What makes two runs give the same entity rows: one hash over model, rules and filters."""

from __future__ import annotations

import hashlib
import json

from udfs.annotation.note_annotation import ANNOTATION_VERSION
from udfs.annotation.steps import AnnotationSettings
from udfs.text.segmentation import SEGMENTATION_VERSION


def pipeline_fingerprint(model_fingerprint: str, annotation: AnnotationSettings) -> str:
    """sha256 over the model, the versions of the rules and the settings that change rows.

    Batch sizes, partitions and places are left out: they change no row.
    """
    decisive = {
        "model": model_fingerprint,
        "model_name": annotation.model,
        "segmentation": SEGMENTATION_VERSION,
        "annotation": ANNOTATION_VERSION,
        "labels": None if annotation.labels is None else sorted(annotation.labels),
        "min_score": annotation.min_score,
        "entity_types": dict(sorted(annotation.entity_types.items())),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
