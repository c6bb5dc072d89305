"""The README of a model package of the kind spaCy, as text. Knows nothing of files."""

from __future__ import annotations

from collections.abc import Mapping

from training.package.card_metadata import card_metadata, join_card
from training.package.model_card import score_section
from udfs.package.model_package import ModelManifest


def render_spacy_card(
    manifest: ModelManifest, vectors: tuple[int, int], facts: Mapping[str, str] | None = None
) -> str:
    """The card of a package that was trained (with `facts`, lines of a table) or imported.

    `vectors` are the number of word vectors and how many numbers each has.
    """
    labels = ", ".join(manifest.scheme.entity_labels)
    words = f"{vectors[0]:,} word vectors of {vectors[1]} numbers" if vectors[0] else "none"
    rows = {"Word vectors": words, **(facts or {})}
    if manifest.training_data_digest:
        rows["Digest of the training data"] = f"`{manifest.training_data_digest}`"
    made = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    origin = (
        "It was trained by Clinspan."
        if facts
        else "It was imported. Whoever trained it knows what it was trained on, how well it does, "
        "what it\nis not for, and its licence: read that before you use it."
    )
    card = f"""# {manifest.name}

A recogniser of spaCy for the labels {labels}, made from {manifest.base_model}.
{origin}

Clinspan runs it through spaCy 3.8 on the CPU (`--model FOLDER`, torch engine's place). It says no
probabilities: every score is 1, so a least score filters nothing. The words of the texts that it
was trained on are not in the package, save where word vectors have them.

## How it was made

| | |
| --- | --- |
{made}

## Scores

Strict: begin, end and label must all be right, by `jobs/score_model.py`. In brackets,
where it was recorded, the 95 % interval, from a bootstrap over the documents.

{score_section(manifest.scores)}

## Limits

- It knows the kind of texts that it was trained on and the labels {labels}. Score it on notes of
  your own before you rely on it.
- It says that something is mentioned, not that the patient has it.
- It is not a medical device. Do not let it decide about a patient.
"""
    return join_card(card_metadata(manifest), card)
