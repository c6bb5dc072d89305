"""What a model package is: one folder, checked byte by byte before anything in it is used.

`ner_model.json` names the labels, the window rule and the sha256 of every file. `training` writes
packages and executors read them, both through this module. Nothing is unpickled, and no code in a
package is run. The module does not know how the weights are used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from udfs.decoding.label_scheme import ARGMAX, BIO, LabelScheme
from udfs.decoding.score_calibration import UNCALIBRATED, ScoreCalibration, calibration_fault
from udfs.errors import ModelPackageError

MANIFEST = "ner_model.json"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
EXPORT_DIGESTS = "sha256.json"  # in the ONNX form of a package: file name → sha256
FORMAT_VERSION = 1
# Part of every model's fingerprint: raise it when tokenization, the cutting of long windows, the
# decoding of tags or the score changes, so that stored predictions of the old rules are not used.
PREDICTION_RULES_VERSION = 1
REQUIRED_FILES = (WEIGHTS, CONFIG, TOKENIZER)
PIPELINE = "pipeline.msgpack"  # all files of a spaCy pipeline, in one (MessagePack)
ENCODER, SPACY = "encoder", "spacy"
# What a package of each kind must hold; whatever else is in it changes no prediction.
DECISIVE_FILES = {ENCODER: REQUIRED_FILES, SPACY: (CONFIG, PIPELINE)}
# Files that can run code when loaded; a package that holds one is refused, listed or not.
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5")

_ANCESTOR = ("role", "name", "fingerprint", "training_data_digest")
# A model's name stands in SQL statements, tables and messages, so it may hold no character that a
# query or a terminal would act on.
_NAME = re.compile(r"[\w .:+@()/-]{1,200}")
NAME_RULE = "must be 1 to 200 letters, digits, spaces and . : + @ ( ) / - _"


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """The contents of `ner_model.json`.

    `labels` are the tags in the order of the output columns, `label_scheme` is their kind, and
    `decoding` is how the tags of a window are chosen. `max_wordpieces` counts `[CLS]` and `[SEP]`;
    `overlap` is how many word-pieces two pieces of a longer window share. `files` maps each file
    name to its sha256. `calibration` turns the scores of mentions into probabilities. `kind` says
    what runs the package; with spaCy, the tags are plain labels and there are no word-pieces to
    count. `learnt_from` lists the models that taught this one or that it began as, and the models
    that those learnt from in turn: role, name, fingerprint and training_data_digest of each.
    `learnt_from`, `scores` and `base_model` are for information and change no result.
    """

    name: str
    labels: tuple[str, ...]
    files: dict[str, str]
    max_wordpieces: int = 256
    overlap: int = 64
    base_model: str = ""
    training_data_digest: str = ""
    scores: dict[str, Any] = field(default_factory=dict)
    calibration: ScoreCalibration = UNCALIBRATED
    format_version: int = FORMAT_VERSION
    label_scheme: str = BIO
    kind: str = ENCODER
    decoding: str = ARGMAX
    learnt_from: tuple[dict[str, str], ...] = ()

    @property
    def seen_digests(self) -> frozenset[str]:
        """Digests of all data on which this model, or one that it learnt from, was trained."""
        own = {self.training_data_digest, *(a["training_data_digest"] for a in self.learnt_from)}
        return frozenset(own - {""})

    @property
    def scheme(self) -> LabelScheme:
        """How its tags become mentions."""
        return LabelScheme(self.labels, self.label_scheme, self.decoding)

    @property
    def fingerprint(self) -> str:
        """sha256 over all that can change a prediction, and over nothing else."""
        decisive: dict[str, object] = {
            "labels": list(self.labels),
            "max_wordpieces": self.max_wordpieces,
            "overlap": self.overlap,
            "files": {name: self.files[name] for name in DECISIVE_FILES[self.kind]},
            "format_version": self.format_version,
            "rules": PREDICTION_RULES_VERSION,
        }
        if self.label_scheme != BIO:
            decisive["label_scheme"] = self.label_scheme
        if self.decoding != ARGMAX:
            decisive["decoding"] = self.decoding
        if self.kind != ENCODER:
            decisive["kind"] = self.kind
        if not self.calibration.changes_nothing:  # else older packages would get another one
            decisive["calibration"] = asdict(self.calibration)
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package whose files were checked; it has this type from the command line to the workers.

    `address` is `models:/NAME/VERSION` if the package came from a registry.
    """

    folder: Path
    manifest: ModelManifest
    address: str | None = None


def is_name(name: str) -> bool:
    """Whether a model may have this name, see `NAME_RULE`."""
    return _NAME.fullmatch(name) is not None


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_export(folder: Path) -> None:
    """Compares the ONNX form of a package with the digests in it.

    Raises:
        ModelPackageError: a file is missing, altered or truncated.
    """
    try:
        digests = json.loads((folder / EXPORT_DIGESTS).read_text(encoding="utf-8"))
        whole = all(sha256_of(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        whole = False
    if not whole:
        raise ModelPackageError(
            f"the ONNX form of the model in {folder} is altered or cut off: remove that folder, "
            "and the next run makes it anew"
        )


def write_manifest(folder: Path, manifest: ModelManifest) -> None:
    """Writes `ner_model.json` into a folder whose other files are complete."""
    (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")


def manifest_text(manifest: ModelManifest) -> str:
    """The contents of `ner_model.json`."""
    return json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def load_manifest(folder: Path) -> ModelManifest:
    """Reads and checks a package: its manifest, and the sha256 of every file it names.

    Raises:
        ModelPackageError: the folder or a file is missing, altered, truncated or pickled, or the
            manifest is not valid; the message names the file, the rule and the mend.
    """
    manifest = read_manifest(folder)
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in PICKLES)
    if pickled:
        raise ModelPackageError(
            f"model package {folder} holds {', '.join(pickled)}: such files can run code when "
            f"they are loaded; convert the weights to {WEIGHTS} and remove them"
        )
    for name, expected in sorted(manifest.files.items()):
        _check_file(folder, name, expected)
    return manifest


def _check_file(folder: Path, name: str, expected: str) -> None:
    if Path(name).name != name or name in ("", ".", ".."):
        raise ModelPackageError(
            f"model package {folder}: {MANIFEST} names {name!r}, which is not a plain file name"
        )
    path = folder / name
    if not path.is_file():
        raise ModelPackageError(
            f"model package {folder}: {name} is missing; copy the whole folder again"
        )
    if sha256_of(path) != expected:
        raise ModelPackageError(
            f"model package {folder}: {name} ({path.stat().st_size} bytes) is not the file that "
            f"{MANIFEST} describes (its sha256 differs): it is altered or cut off; "
            "copy the whole folder again"
        )


def read_manifest(folder: Path) -> ModelManifest:
    """Reads the manifest of a package without checking its files: `load_manifest` does that.

    Raises:
        ModelPackageError: there is no manifest, or it is damaged.
    """
    if not folder.is_dir():
        raise ModelPackageError(
            f"no model package at {folder}: --model names a folder that holds {MANIFEST}"
        )
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelPackageError(
            f"{folder} is not a model package: it has no {MANIFEST}; "
            "jobs/fine_tune_ner.py and jobs/import_model.py write packages"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ModelPackageError(
            f"{path} is not readable JSON ({type(error).__name__}); copy the package again"
        ) from None
    _check_shape(path, raw)
    parsed = {
        "labels": tuple(raw["labels"]),
        "calibration": ScoreCalibration(**raw.get("calibration", {})),
        "learnt_from": tuple(raw.get("learnt_from", ())),
    }
    return ModelManifest(**{**raw, **parsed})


def _is_ancestor(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(key), str) for key in _ANCESTOR)


def _check_shape(path: Path, raw: object) -> None:
    def refuse(why: str) -> None:
        raise ModelPackageError(f"{path}: {why}; it must be a manifest that clinspan wrote")

    if not isinstance(raw, Mapping):
        refuse("the top level is not an object")
        return
    if unknown := sorted(set(raw) - {f.name for f in fields(ModelManifest)}):
        refuse(f"unknown keys {unknown}")
    for key, kind in (("name", str), ("labels", list), ("files", dict)):
        if not isinstance(raw.get(key), kind):
            refuse(f"{key!r} is missing or not a {kind.__name__}")
    if not is_name(raw["name"]):
        refuse(f"the name {raw['name'][:50]!r} {NAME_RULE}")
    if raw.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        refuse(f"format_version is {raw['format_version']!r}, this release reads {FORMAT_VERSION}")
    ancestors = raw.get("learnt_from", [])
    if not isinstance(ancestors, list) or not all(map(_is_ancestor, ancestors)):
        refuse(f"'learnt_from' is no list of objects with the texts {', '.join(_ANCESTOR)}")
    for key in ("max_wordpieces", "overlap"):
        if key in raw and (not isinstance(raw[key], int) or isinstance(raw[key], bool)):
            refuse(f"{key!r} is {raw[key]!r}, not a whole number")
    longest, overlap = raw.get("max_wordpieces", 256), raw.get("overlap", 64)
    if not 0 <= overlap < longest - 2:
        refuse(f"overlap {overlap} does not fit max_wordpieces {longest} (0 <= overlap < max - 2)")
    kind = raw.get("kind", ENCODER)
    if kind not in DECISIVE_FILES:
        refuse(f"kind is {kind!r}, this release reads {' and '.join(DECISIVE_FILES)}")
    if missing := [name for name in DECISIVE_FILES[kind] if name not in raw["files"]]:
        refuse(f"'files' does not list {', '.join(missing)}")
    try:
        scheme = LabelScheme(
            raw["labels"], raw.get("label_scheme", BIO), raw.get("decoding", ARGMAX)
        )
    except (ValueError, TypeError) as error:
        refuse(str(error))
    if fault := calibration_fault(raw.get("calibration", {}), scheme.entity_labels):
        refuse(fault)
