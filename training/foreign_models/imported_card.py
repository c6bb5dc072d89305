"""The README of a model package that was imported, as text. Knows nothing of files."""

from __future__ import annotations

from training.package.card_metadata import card_metadata, join_card
from training.package.model_card import score_section
from udfs.package.model_package import ModelManifest


def render_imported_card(manifest: ModelManifest, architecture: str) -> str:
    """The card of an imported package.

    `architecture` is the name of the class in transformers that opens it.
    """
    labels = ", ".join(manifest.scheme.entity_labels)
    words = f"""# {manifest.name}

Imported from {manifest.base_model}: a `{architecture}` with {manifest.label_scheme} tags for the
labels {labels}. Whoever trained it knows what it was trained
on, how well it does, what it is not for, and its licence: read that before you use it.

Clinspan takes the tag of each word from its first word-piece. Longest input:
{manifest.max_wordpieces} word-pieces; longer windows are cut into pieces that overlap by
{manifest.overlap}.

## Scores

Strict: begin, end and label must all be right, by `jobs/score_model.py`. In brackets,
where it was recorded, the 95 % interval, from a bootstrap over the documents.

{score_section(manifest.scores)}
"""
    return join_card(card_metadata(manifest), words)
