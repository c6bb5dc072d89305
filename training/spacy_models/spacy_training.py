"""One training of a spaCy recogniser: corpora and a recipe -> model package and scores.

Owns the order of the steps. spaCy's own loop trains in this process on the windows of production.
The weights that do best on the judged part become the package, which is scored through the
production path. DocBins and spaCy's own folders lie in a private folder that is removed at the end.
"""

from __future__ import annotations

import dataclasses
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.corpora.corpus_mix import TrainingData
from training.corpora.documents import Document, make_document
from training.corpora.forms.tools.docbin import write_docbin
from training.evaluation.package_scores import score_package
from training.evaluation.strict_scores import Scores
from training.package.model_card import training_facts
from training.package.package_writing import check_output_folder
from training.recipes.spacy_recipe import LOGGER, SpacyRecipe, training_config
from training.recipes.training_request import JUDGED_PART, TrainingRequest
from training.spacy_models.spacy_pipelines import MadePackage, PipelineRequest, make_package
from training.spacy_models.word_vectors import WordVectors, write_vectors
from training.tracking.experiment_log import ExperimentLog
from udfs.errors import InputError
from udfs.spans import Mention
from udfs.text.segmentation import segment_note

BEST = "model-best"  # the folder in which spaCy's loop keeps the best weights


@dataclass(frozen=True)
class SpacyResult:
    """The package, the scores of each part, and counts of what the training DocBin cannot hold."""

    made: MadePackage
    scores: dict[str, Scores]
    losses: Counter[str]


def train_spacy(
    request: TrainingRequest,
    recipe: SpacyRecipe,
    vectors: WordVectors | None,
    experiment: str,
    on_look: Callable[[int, float], None] = lambda step, f1: None,
) -> SpacyResult:
    """Reads the corpora, trains, writes the package and scores it.

    Whenever spaCy evaluates, `on_look` gets the step and the F1 on devel, by spaCy's own count.

    Raises:
        InputError: the request cannot be met; raised before the training begins.
    """
    check_output_folder(request.output)
    request.check_judged("spaCy's training")
    data = request.mix.read(request.train_parts)
    scored = {part: request.mix.read([part], data) for part in request.score_parts}
    _refuse_partial(data)
    parameters = {
        **dataclasses.asdict(recipe),
        "family": "spacy",
        "corpus": request.mix.forms,
        "train_parts": ",".join(request.train_parts),
        "documents": len(data.documents),
        "training_data_digest": data.digest,
        "vectors": vectors.origin if vectors is not None else "none",
    }
    with (
        tempfile.TemporaryDirectory(prefix="clinspan-spacy-") as scratch,
        ExperimentLog(experiment, request.name, parameters) as log,
    ):
        place = Path(scratch)
        files = [place / f"{part}.spacy" for part in ("train", "devel")]
        losses = write_docbin(list(as_windows(data.documents)), files[0])
        write_docbin(list(as_windows(scored[JUDGED_PART].documents)), files[1])
        folder = None if vectors is None else write_vectors(vectors, place / "vectors")

        def log_look(step: int, f1: float, loss: float) -> None:
            log.log_metric("loss", loss, step)
            log.log_metric(f"{JUDGED_PART}/f1_of_spacy", f1, step)
            on_look(step, f1)

        config = training_config(recipe, files[0], files[1], folder)
        _run_loop(config, place / "out", log_look)
        made = make_package(
            PipelineRequest(
                source=place / "out" / BEST,
                output=request.output,
                name=request.name,
                origin=f"spaCy's convolutions{', with word vectors' if vectors else ''}",
                renames={},
                training_data_digest=data.digest,
                card_facts=_card_facts(request, recipe, data, vectors),
            )
        )
        scores = score_package(request.output, scored, request.threads)
        for part, found in scores.items():
            log.log_scores(part, found, 0)
        log.log_package(request.output)
    return SpacyResult(made, scores, Counter(losses))


def as_windows(documents: Sequence[Document]) -> Iterator[Document]:
    """Each window of each document as a document: what the recogniser sees in production.

    A mention that crosses a border becomes one mention on each side of it.
    """
    for document in documents:
        for number, (begin, end) in enumerate(segment_note(document.text)):
            mentions = [
                Mention(max(span.begin, begin) - begin, min(span.end, end) - begin, span.label)
                for span in document.spans
                if span.begin < end and span.end > begin
            ]
            text = document.text[begin:end]
            yield make_document(f"{document.doc_id}:{number}", text, mentions)


def _refuse_partial(data: TrainingData) -> None:
    if len(set(data.labels_of_corpus.values())) > 1:
        raise InputError(
            "the corpora annotate different labels, and spaCy would learn that what one of them "
            "lacks is nothing: give a --label-map that gives all the same, or use fine_tune_ner.py"
        )


def _run_loop(
    config: dict[str, Any], out: Path, on_look: Callable[[int, float, float], None]
) -> None:
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train
    from spacy.util import registry
    from thinc.api import Config

    def set_up(nlp: object, stdout: object, stderr: object) -> tuple[Any, Any]:
        def log_step(info: dict[str, Any] | None) -> None:
            if info is not None:
                f1 = float(info["other_scores"].get("ents_f") or 0.0)
                on_look(int(info["step"]), f1, float(info["losses"]["ner"]))

        return log_step, lambda: None

    registry.loggers.register(LOGGER, func=lambda: set_up)
    out.mkdir()
    # What spaCy prints is dropped: the log has its tables, and its messages may quote text.
    train(init_nlp(Config(config)), out, stdout=io.StringIO(), stderr=io.StringIO())


def _card_facts(
    request: TrainingRequest, recipe: SpacyRecipe, data: TrainingData, vectors: WordVectors | None
) -> dict[str, str]:
    facts = {
        **training_facts(request, len(data.documents), recipe),
        "Best weights": f"those with the best F1 on {JUDGED_PART}",
    }
    return facts if vectors is None else {**facts, "Word vectors of": vectors.origin}
