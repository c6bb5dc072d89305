"""A model package with a calibration: a copy of another one, whole or not at all."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

from training.model_card import CARD, calibration_line
from training.model_package import check_output_folder
from udfs.model_package import MANIFEST, ModelManifest, load_manifest, sha256_of, write_manifest
from udfs.score_calibration import ScoreCalibration


def write_calibrated(source: Path, target: Path, calibration: ScoreCalibration) -> ModelManifest:
    """Copies the files that the manifest of `source` names; only calibration and card differ.

    Scores that the old manifest records are kept: no span changes. Raises InputError where `target`
    exists, ModelPackageError where `source` is no sound package.
    """
    manifest = load_manifest(source)
    check_output_folder(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name in manifest.files:
            shutil.copyfile(source / name, draft / name)
            (draft / name).chmod(0o644)
        files = dict(manifest.files)
        if CARD in files:
            text = (draft / CARD).read_text(encoding="utf-8")
            old, new = calibration_line(manifest.calibration), calibration_line(calibration)
            (draft / CARD).write_text(text.replace(old, new), encoding="utf-8")
            files[CARD] = sha256_of(draft / CARD)
        complete = dataclasses.replace(manifest, files=files, calibration=calibration)
        write_manifest(draft, complete)
        (draft / MANIFEST).chmod(0o644)
        draft.chmod(0o755)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return complete
