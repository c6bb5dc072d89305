"""The scores of a package on parts of a corpus, through the production path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from training.corpora.corpus_mix import TrainingData
from training.evaluation.strict_scores import Scores, predict_documents, score_documents
from udfs.classifiers.model_loading import load_classifier


def score_package(
    folder: Path, scored: Mapping[str, TrainingData], threads: int
) -> dict[str, Scores]:
    """The scores of a package on each part, in float32 on the CPU.

    Predictions of labels that a document's corpus does not annotate count neither as right nor as
    wrong.
    """
    classifier = load_classifier(folder, device="cpu", precision="float32", threads=threads)
    return {
        part: score_documents(
            data.documents, data.told_apart(predict_documents(data.documents, classifier))
        )
        for part, data in scored.items()
    }
