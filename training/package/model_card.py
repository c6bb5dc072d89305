"""The text of a model package's README, its card.

It says what the model is, how it was made, how well it does, and what it is not for. Owns the text
and the place of the score table in it; `training.package.card_metadata` owns what hubs read above
it. Knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from training.corpora.corpus_mix import form_of
from training.package.card_metadata import (
    card_metadata,
    interval_of,
    join_card,
    split_card,
    with_scores,
)
from training.recipes.training_request import TrainingRequest
from udfs.decoding.label_scheme import ARGMAX
from udfs.decoding.score_calibration import ScoreCalibration
from udfs.errors import ModelPackageError
from udfs.package.model_package import ModelManifest

CARD = "README.md"
# What the texts of a form of corpus are, and which credit or agreement a model trained on them
# needs. Of other forms only the person who trains knows this.
_ABSTRACTS = "abstracts of scientific articles"
_RECORDS = "clinical records under a data use agreement; it also says who may have a model of them"
_TEXTS = {
    "bc5cdr": f"{_ABSTRACTS}; BC5CDR is in the public domain as a work of the United States "
    "government (Li J et al., Database 2016, baw068, doi:10.1093/database/baw068)",
    "ncbi-disease": f"{_ABSTRACTS}; a work of the United States National Library of Medicine",
    "medmentions": f"{_ABSTRACTS}",
    "n2c2": _RECORDS,
    "i2b2-2010": _RECORDS,
    "i2b2-2009": _RECORDS,
}
_MADE = "## How it was made"
# The rows of the table below that heading that come from the manifest.
OWN_ROWS = ("Base model", "Digest of the training data")
_ROW = re.compile(r"\| (\w.*?) \| (.*) \|")
_SCORES_BEGIN = "<!-- scores: written by jobs/score_model.py -->"
_SCORES_END = "<!-- end of scores -->"


def render_card(
    manifest: ModelManifest, facts: Mapping[str, str], datasets: Sequence[str] = ()
) -> str:
    """The card of a new package.

    Args:
        manifest: the manifest of the package.
        facts: rows of the table under "How it was made", such as {"Command": "`...`"}.
        datasets: the corpora that it was trained on.
    """
    return join_card(card_metadata(manifest, datasets, "en"), _words(manifest, facts))


def _words(manifest: ModelManifest, facts: Mapping[str, str]) -> str:
    made = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    entity_labels = ", ".join(dict.fromkeys(tag[2:] for tag in manifest.labels if tag != "O"))
    return f"""# {manifest.name}

A named entity recogniser for the labels {entity_labels}: a token classifier with BIO tags on the
first word-piece of each word. It opens in Clinspan (`--model FOLDER`) and in
`transformers.AutoModelForTokenClassification.from_pretrained`. The weights are 16-bit floats.
{decoding_line(manifest.decoding)}Longest input: {manifest.max_wordpieces} word-pieces; longer
windows are cut by Clinspan into pieces that overlap by {manifest.overlap}.

{_MADE}

| | |
| --- | --- |
| Base model | {manifest.base_model} |
{made}
| Digest of the training data | `{manifest.training_data_digest}` |

## Scores

Strict: begin, end and label must all be right. Counted over whole documents through Clinspan's
production path (windows, word-pieces, tags, spans), by `jobs/score_model.py`. In brackets, where
it was recorded, the 95 % interval, from a bootstrap over the documents.
Rows that name another model are that model's: this one may have been trained on what they are
scored on.

{score_section(manifest.scores)}

## Limits

- It knows the kind of texts that it was trained on, see above. Clinical notes are terser than
  articles, misspelt and full of abbreviations, and differ from one hospital to the next; the scores
  say nothing of that. Score it on notes of your own before you rely on it.
- It knows the labels {entity_labels} and no others.
- English only. An uncased base model cannot tell `AIDS` from `aids`, and none reads scripts that
  its vocabulary lacks.
- It says that something is mentioned, not that the patient has it: negated, possible, historical
  and family mentions all count.
{calibration_line(manifest.calibration)}
- It is not a medical device. Do not let it decide about a patient.

## Licence

The weights derive from all-MiniLM-L6-v2 (Apache License 2.0) where that is the base model named
above. For the training data see "How it was made".
"""


def made_rows(card: str) -> dict[str, str]:
    """The rows under "How it was made" in a card that `render_card` wrote; none for other cards."""
    _, _, rest = card.partition(_MADE)
    section, _, _ = rest.partition("\n## ")
    rows = (_ROW.fullmatch(line) for line in section.splitlines())
    return {row[1]: row[2] for row in rows if row}


def decoding_line(decoding: str) -> str:
    """The line of the card on how tags are chosen; empty where `transformers` chooses the same."""
    if decoding == ARGMAX:
        return ""
    return (
        "The tags of a window are chosen together, the most probable of the possible (Viterbi), "
        "so that no\nI- stands without its B-; `transformers` by itself takes the most probable of "
        "each word.\n"
    )


def training_facts(request: TrainingRequest, documents: int, recipe: object) -> dict[str, str]:
    """The rows that the card of any training has: data, command, recipe (a dataclass)."""
    parts = " + ".join(request.train_parts)
    settings = asdict(recipe).items()  # type: ignore[call-overload]  # a dataclass
    return {
        "Training data": f"{request.mix.forms}, {parts}: {documents} documents",
        **{f"Texts of {form}": texts_of(form) for form in map(form_of, request.corpora)},
        "Command": f"`{request.command}`",
        "Recipe": ", ".join(f"{name} {value}" for name, value in settings),
    }


def texts_of(form: str) -> str:
    """What the texts of a form of corpus are, if this project knows it."""
    return _TEXTS.get(form.removesuffix("-tsv"), "known to whoever trained it")


def score_section(scores: Mapping[str, Any]) -> str:
    """The score table, between the marks by which `replace_scores` finds it."""
    return f"{_SCORES_BEGIN}\n{_score_table(scores)}\n{_SCORES_END}"


def calibration_line(calibration: ScoreCalibration) -> str:
    """The line of the card on whether the scores of mentions are probabilities."""
    if calibration.changes_nothing:
        return "- The scores of mentions are not calibrated probabilities."
    biases = ", ".join(f"{label} {bias:+.2f}" for label, bias in calibration.biases.items())
    return (
        "- The scores of mentions are probabilities as far as notes are like what they were "
        f"calibrated\n  on (temperature {calibration.temperature:.2f}, log-odds {biases})."
    )


def replace_scores(card: str, manifest: ModelManifest) -> str:
    """The card with the manifest's scores, in the table and in the metadata for hubs.

    Raises:
        ModelPackageError: the card has lost the marks round the table, or its metadata is not YAML.
    """
    metadata, words = split_card(card)
    before, begin, rest = words.partition(_SCORES_BEGIN)
    _, end, after = rest.partition(_SCORES_END)
    if not begin or not end:
        raise ModelPackageError(
            f"{CARD} has no place for scores: keep the lines {_SCORES_BEGIN} and {_SCORES_END}"
        )
    metadata = with_scores(metadata or card_metadata(manifest), manifest)
    return join_card(metadata, f"{before}{score_section(manifest.scores)}{after}")


def _score_table(scores: Mapping[str, Any]) -> str:
    if not scores:
        return "Not scored yet."
    lines = [
        "| scored on | model | label | precision | recall | F1 | gold | predicted |",
        "| --- " * 8 + "|",
    ]
    for key, entry in sorted(scores.items()):
        for label, row in entry["scores"].items():
            figures = " | ".join(
                f"{row[score]:.4f}{_brackets(interval_of(entry, label, score))}"
                for score in ("precision", "recall", "f1")
            )
            counts = f"{row['gold']} | {row['predicted']}"
            lines.append(f"| {key} | {entry['model']} | {label} | {figures} | {counts} |")
    return "\n".join(lines)


def _brackets(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3f}-{interval[1]:.3f})"
