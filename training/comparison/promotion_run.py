"""One promotion: both models scored, the gate, the record in MLflow and perhaps a new champion.

The candidate and the champion are scored on the same documents and notes. If the candidate passes
the gate, it is registered as a version and gets the alias. Owns the order of the steps. Records
numbers, labels and digests, never text.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.comparison.note_texts import read_note_texts
from training.comparison.promotion import (
    Comparison,
    Gate,
    NoteChanges,
    broken_rules,
    compare,
    compare_notes,
)
from training.corpora.documents import Document, digest_documents
from training.corpora.form_table import read_corpus
from training.corpora.seen_parts import refuse_seen_part
from training.evaluation.evaluation import Evaluation, evaluate
from training.evaluation.measures import STRICT, count_matches
from training.evaluation.plots import write_plots
from training.evaluation.strict_scores import predict_documents
from training.tracking.experiment_log import ExperimentLog
from training.tracking.mlflow_store import open_client
from training.tracking.model_registry import (
    SCHEME,
    RegisteredPackage,
    fetch_package,
    find_champion,
    move_alias,
    register_version,
)
from udfs.annotation.note_annotation import find_entities
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest, load_manifest
from udfs.spans import Classifier, Span


@dataclass(frozen=True)
class PromotionRequest:
    """Which package is to get which alias of which model, and what it is judged on.

    `candidate` is a folder or an address of the registry. `notes` is a file of real notes, of which
    at most `note_limit` are read.
    """

    candidate: str
    name: str
    alias: str
    corpus: str
    part: str
    notes: Path | None
    note_limit: int | None
    experiment: str


@dataclass(frozen=True)
class Promotion:
    """The outcome; `version` is what the alias points to now, None where the gate refused."""

    candidate: ModelManifest
    champion: RegisteredPackage | None
    comparison: Comparison
    changes: NoteChanges | None
    broken: list[str]
    version: str | None


def run_promotion(
    request: PromotionRequest, gate: Gate, load: Callable[[Path], Classifier]
) -> Promotion:
    """Judges the candidate, records the result and, if it breaks no rule, moves the alias to it.

    `load` loads a package. A candidate that is not yet a version of the model is registered first.

    Raises:
        InputError: the request cannot be met, or the candidate was trained on what it would be
            judged on. Most causes are found before anything is scored.
    """
    registered = _registered(request.candidate)
    folder = registered.folder if registered else Path(request.candidate)
    manifest = load_manifest(folder)
    documents = read_corpus(request.corpus, [request.part])
    notes = read_note_texts(request.notes, request.note_limit) if request.notes else []
    client = open_client()
    champion = find_champion(client, request.name, request.alias)
    if champion is not None and champion.manifest.fingerprint == manifest.fingerprint:
        raise InputError(f"the candidate is {champion.address}, which is {request.alias} already")
    refuse_seen_part(manifest, request.corpus, request.part)

    ours = _judge(load(folder), documents, notes)
    theirs = None if champion is None else _judge(load(champion.folder), documents, notes)
    comparison = _compare(documents, ours, theirs)
    changes = compare_notes(theirs.notes, ours.notes) if theirs and notes else None
    broken = broken_rules(gate, comparison, changes)
    done = Promotion(manifest, champion, comparison, changes, broken, None)

    parameters = _parameters(request, gate, documents, len(notes), done)
    with ExperimentLog(request.experiment, f"promotion of {request.name}", parameters) as log:
        _log_numbers(log, done, evaluate(documents, ours.documents))
        if not broken:
            if registered is not None and registered.name == request.name:
                version = registered.version
            else:
                source = log.log_package(folder)
                version = register_version(client, request.name, source, log.run_id, manifest)
            move_alias(client, request.name, request.alias, version)
            done = replace(done, version=version)
    return done


@dataclass(frozen=True)
class _Findings:
    documents: list[list[Span]]
    notes: list[list[Span]]


def _registered(candidate: str) -> RegisteredPackage | None:
    return fetch_package(candidate) if candidate.startswith(SCHEME) else None


def _judge(
    classifier: Classifier, documents: Sequence[Document], notes: Sequence[str]
) -> _Findings:
    found = [find_entities(text, classifier) for text in notes]
    return _Findings(predict_documents(documents, classifier), found)


def _compare(
    documents: Sequence[Document], ours: _Findings, theirs: _Findings | None
) -> Comparison:
    both = [findings for findings in (ours, theirs) if findings is not None]
    labels = {span.label for one in both for spans in one.documents for span in spans}
    counted = [count_matches(documents, one.documents, [STRICT], labels)[STRICT] for one in both]
    return compare(counted[0], counted[1] if theirs else None)


def _parameters(
    request: PromotionRequest,
    gate: Gate,
    documents: Sequence[Document],
    notes: int,
    done: Promotion,
) -> dict[str, object]:
    champion = done.champion
    return {
        "name": request.name,
        "alias": request.alias,
        "candidate": done.candidate.name,
        "candidate_fingerprint": done.candidate.fingerprint,
        "training_data_digest": done.candidate.training_data_digest,
        "champion": champion.address if champion else "none",
        "champion_fingerprint": champion.manifest.fingerprint if champion else "none",
        "corpus": request.corpus.partition(":")[0],
        "part": request.part,
        "documents": len(documents),
        "test_data_digest": digest_documents(documents),
        "notes": notes,
        "gate_margin": gate.margin,
        "gate_floors": dict(gate.floors),
        "gate_max_changed": gate.max_changed,
        "verdict": "refused" if done.broken else "promoted",
        "broken_rules": "; ".join(done.broken),
    }


def _log_numbers(log: ExperimentLog, done: Promotion, evaluation: Evaluation) -> None:
    log.log_scores("candidate", evaluation.strict, 0)
    found = done.comparison
    if found.champion is not None and found.difference is not None:
        for i, row in enumerate(found.rows):
            log.log_metric(f"champion/{row}/f1", float(found.champion[i]), 0)
            for j, name in enumerate(("f1", "f1_low", "f1_high")):
                log.log_metric(f"difference/{row}/{name}", float(found.difference[i, j]), 0)
    if done.changes is not None:
        log.log_metric("notes/changed_share", done.changes.changed_share, 0)
        for kind in ("kept", "gained", "lost"):
            for label, count in getattr(done.changes, kind).items():
                log.log_metric(f"notes/{kind}/{label}", count, 0)
        for (old, new), count in done.changes.relabelled.items():
            log.log_metric(f"notes/relabelled/{old} to {new}", count, 0)
    with tempfile.TemporaryDirectory(prefix="clinspan-plots-") as scratch:
        write_plots(Path(scratch), evaluation)
        log.log_files(Path(scratch), "plots")
