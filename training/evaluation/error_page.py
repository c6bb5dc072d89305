"""A page of what a model got wrong: the confusion of labels, and examples in their context.

The page holds text of the documents. Only its owner can read the file (mode 0600). It loads nothing
and runs no script, and a warning at its top says what it holds.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from training.corpora.documents import Document
from training.evaluation.confusions import KINDS, NOTHING, Pairing, confusion_counts, pair_mentions
from udfs.spans import Span

EXAMPLES = 25  # of each kind
CONTEXT = 60  # characters before and after
_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Errors</title><style>
body { font: 15px/1.5 sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em }
.warning { border: 2px solid #b00; padding: .5em 1em }
table { border-collapse: collapse } th, td { border: 1px solid #bbb; padding: .2em .6em }
td { text-align: right } .example td { text-align: left; white-space: pre-wrap }
.gold { background: #cde8cd } .found { background: #f6cfcf } .gold.found { background: #f3e3a6 }
</style></head><body>
"""
_WARNING = (
    '<p class="warning">This page holds text of the documents. Where those are notes of patients, '
    "keep it as you keep the notes, and do not send it on.</p>\n"
)


def write_error_page(
    path: Path, title: str, documents: Sequence[Document], predicted: Sequence[Sequence[Span]]
) -> None:
    """Writes the whole page in one step, replacing an older one; only its owner can read it."""
    page = render_error_page(title, documents, predicted)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(page)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def render_error_page(
    title: str, documents: Sequence[Document], predicted: Sequence[Sequence[Span]]
) -> str:
    """The page as HTML; all text from documents and labels is escaped."""
    pairs = pair_mentions(documents, predicted)
    kinds = Counter(pair.kind for pair in pairs)
    parts = [_HEAD, f"<h1>{escape(title)}</h1>\n", _WARNING, _confusion(pairs)]
    parts.append(
        '<p>In the examples <span class="gold">gold</span>, <span class="found">found</span>, '
        '<span class="gold found">both</span>.</p>\n'
    )
    for kind in KINDS:
        examples = _spread([pair for pair in pairs if pair.kind == kind])
        shown = f", {len(examples)} of them shown" if len(examples) < kinds[kind] else ""
        parts.append(f"<h2>{kind.capitalize()}: {kinds[kind]}{shown}</h2>\n<table>\n")
        parts += [_example(documents[pair.document], pair) for pair in examples]
        parts.append("</table>\n")
    return "".join((*parts, "</body></html>\n"))


def _confusion(pairs: Sequence[Pairing]) -> str:
    counts = confusion_counts(pairs)
    labels = sorted({label for pair in counts for label in pair} - {NOTHING})
    columns = [*labels, NOTHING]
    head = "".join(f"<th>{escape(label)}</th>" for label in columns)
    rows = "".join(
        f"<tr><th>{escape(gold)}</th>"
        + "".join(f"<td>{counts[gold, found]}</td>" for found in columns)
        + "</tr>\n"
        for gold in columns
    )
    return (
        "<h2>Confusion</h2>\n<p>Rows are gold, columns what was found, whatever the borders. "
        f"{escape(NOTHING)}: missed (column) or spurious (row).</p>\n"
        f"<table><tr><th></th>{head}</tr>\n{rows}</table>\n"
    )


def _spread(pairs: Sequence[Pairing]) -> Sequence[Pairing]:
    """At most `EXAMPLES` of these pairs, spread evenly over the corpus."""
    step = max(len(pairs) / EXAMPLES, 1)
    return [pairs[int(number * step)] for number in range(min(len(pairs), EXAMPLES))]


def _example(document: Document, pair: Pairing) -> str:
    spans = [span for span in (pair.gold, pair.found) if span is not None]
    begin = max(min(span.begin for span in spans) - CONTEXT, 0)
    end = min(max(span.end for span in spans) + CONTEXT, len(document.text))
    borders = sorted({begin, end, *(at for span in spans for at in (span.begin, span.end))})
    pieces = []
    for left, right in pairwise(borders):
        inside = [
            name
            for name, span in (("gold", pair.gold), ("found", pair.found))
            if span is not None and span.begin <= left < span.end
        ]
        words = escape(document.text[left:right])
        pieces.append(f'<span class="{" ".join(inside)}">{words}</span>' if inside else words)
    score = "" if pair.found is None else f" ({pair.found.score:.2f})"
    names = " → ".join(escape(label) for label in pair.labels)
    place = f"{escape(document.doc_id)} {spans[0].begin}"
    return (
        f'<tr class="example"><td>{place}</td><td>{names}{score}</td>'
        f"<td>{''.join(pieces)}</td></tr>\n"
    )
