"""Model package ↔ MLflow model: a folder with `MLmodel`, a signature and the unchanged package.

Nothing is pickled: MLflow's python_function flavour names this module, which opens the package. So
`mlflow.pyfunc.load_model` works wherever this project can be imported. Finding the package in the
folder needs no MLflow.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udfs.errors import InputError
from udfs.package.model_package import ENCODER, MANIFEST, SPACY, load_manifest
from udfs.spans import Span

if TYPE_CHECKING:
    from pandas import DataFrame

MODEL = "model"  # the folder of the model in the artifacts of a run
_PACKAGE = "model_package"
# What the package needs beside this project; without a list MLflow would import it to find out.
_REQUIREMENTS = {
    ENCODER: ("torch", "numpy", "pandas", "safetensors", "tokenizers"),
    SPACY: ("spacy", "numpy", "pandas"),
}


def write_mlflow_model(package: Path, target: Path) -> None:
    """Writes a package as an MLflow model into a new folder."""
    from mlflow import pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import Array, Object, Property

    columns = {"begin": "long", "end": "long", "label": "string", "score": "double"}
    entity = Object([Property(name, kind) for name, kind in columns.items()])
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "text")]),
        outputs=Schema([ColSpec(Array(entity), "entities")]),
    )
    names = _REQUIREMENTS[load_manifest(package).kind]
    requirements = [f"{name}=={version(name).partition('+')[0]}" for name in names]
    with tempfile.TemporaryDirectory(prefix="clinspan-package-") as scratch:
        # MLflow keeps the name of the folder that it copies, so the copy gets the name first.
        named = shutil.copytree(package, Path(scratch) / _PACKAGE)
        with warnings.catch_warnings():
            # An example would hold text, and the signature already says what goes in.
            warnings.filterwarnings("ignore", message=".*input example was not provided")
            pyfunc.save_model(
                path=str(target),
                loader_module=__name__,
                data_path=str(named),
                signature=signature,
                pip_requirements=requirements,
            )


def find_package(model: Path) -> Path:
    """The package folder in an MLflow model; a plain package is returned as it is.

    Raises:
        InputError: the folder holds no model package.
    """
    for folder in (model / "data" / _PACKAGE, model):
        if (folder / MANIFEST).is_file():
            return folder
    raise InputError(f"{model} holds no model package: jobs/promote_model.py registers models")


class ExtractionModel:
    """What MLflow calls: texts in, entities out, through the production path."""

    def __init__(self, folder: Path) -> None:
        from udfs.classifiers.model_loading import load_classifier

        self._classifier = load_classifier(folder)

    def predict(self, model_input: DataFrame, params: dict[str, Any] | None = None) -> DataFrame:
        """A column `text` → a column `entities` of begin, end, label and score."""
        import pandas

        from udfs.annotation.note_annotation import find_entities

        found = [find_entities(text, self._classifier) for text in model_input["text"]]
        rows = [[_entity(span) for span in spans] for spans in found]
        return pandas.DataFrame({"entities": rows}, index=model_input.index)


def _entity(span: Span) -> dict[str, Any]:
    return {"begin": span.begin, "end": span.end, "label": span.label, "score": span.score}


def _load_pyfunc(path: str) -> ExtractionModel:
    """Opens the package folder. MLflow finds this function by its name."""
    return ExtractionModel(Path(path))
