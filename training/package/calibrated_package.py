"""A copy of a model package with a calibration, whole or not at all."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from training.package.model_card import CARD, calibration_line
from training.package.package_writing import write_whole
from udfs.decoding.score_calibration import ScoreCalibration
from udfs.package.model_package import ModelManifest, load_manifest


def write_calibrated(source: Path, target: Path, calibration: ScoreCalibration) -> ModelManifest:
    """Copies the files that the manifest of `source` names; only calibration and card differ.

    The scores in the old manifest are kept, because no span changes.

    Raises:
        InputError: `target` exists.
        ModelPackageError: `source` is no sound package.
    """
    manifest = load_manifest(source)

    def fill(draft: Path) -> None:
        for name in manifest.files:
            shutil.copyfile(source / name, draft / name)
        if CARD in manifest.files:
            text = (draft / CARD).read_text(encoding="utf-8")
            old, new = calibration_line(manifest.calibration), calibration_line(calibration)
            (draft / CARD).write_text(text.replace(old, new), encoding="utf-8")

    return write_whole(target, dataclasses.replace(manifest, calibration=calibration), fill)
