"""A note with its mentions highlighted, as HTML for a notebook; displaCy draws it.

Owns what a reader sees of a mention: its colour and its name. Mentions that overlap share one mark,
since displaCy alone would draw their text twice. Knows no Spark and no model. The HTML holds the
whole note: protect a notebook that shows it as you protect the note.
"""

from __future__ import annotations

import html
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conf.entity_types import load_entity_types
from udfs.errors import InputError

# Pale enough for black text (contrast above 11). Drug and disease differ also for readers who
# cannot tell red from green. Every mention has its name beside it, so no meaning depends on colour.
_COLOURS = {"drug": "#c3e0ff", "disease": "#ffdcb3"}
_OTHER_COLOURS = ("#cfeccb", "#e6d3f5", "#fff0a6", "#c9eef0", "#f9d2e4", "#e3dccf")
_SEVERAL, _MISSED, _EXTRA = "#dedede", "#ffc2c2", "#e6d3f5"

_MARK = (
    '<mark class="entity" title="{hint}" style="background: {bg}; color: #1b1b1b; '
    "padding: 0.1em 0.3em; border-radius: 0.3em; -webkit-box-decoration-break: clone; "
    'box-decoration-break: clone">{text}<span style="font: bold 0.65em sans-serif; color: #404040; '
    "margin-left: 0.5em; letter-spacing: 0.04em; text-transform: uppercase; white-space: nowrap; "
    'user-select: none">{label}</span></mark>'
)
# Black on white also in a dark theme. The second class stops MathJax from reading `$` as formulas.
_FRAME = (
    '<div class="clinspan-note tex2jax_ignore" style="white-space: pre-wrap; background: #fff; '
    'color: #1b1b1b; padding: 1em 1.25em; font: 14px/1.5 system-ui, sans-serif">'
    "<style>.clinspan-note .entities {{ line-height: 1.85 !important }}</style>{content}</div>"
)


class Mention(Protocol):
    """A row of `entities` (its `entity_type` is shown) or a `Span` (its label is shown)."""

    @property
    def begin(self) -> int:
        """The offset of its first character."""
        ...

    @property
    def end(self) -> int:
        """The offset after its last character."""
        ...

    @property
    def label(self) -> str:
        """The label that the model gave it."""
        ...


@dataclass(frozen=True, slots=True)
class _Mark:
    begin: int
    end: int
    names: tuple[str, ...]
    colours: tuple[str, ...]
    hints: tuple[str, ...]


def render_note(text: str, mentions: Iterable[Mention]) -> str:
    """HTML of a note with every mention highlighted and named.

    Mentions that overlap share one mark with the names of all. Hovering over a mark shows the
    offsets and, where there is one, the score.

    Args:
        text: the note as it is stored.
        mentions: the mentions of that note, in any order, with half-open offsets in code points.

    Raises:
        InputError: an offset lies outside the text.
    """
    types = load_entity_types()
    return _render(text, [_mark(mention, *_shown(mention, types)) for mention in mentions])


def render_comparison(text: str, gold: Sequence[Mention], predicted: Sequence[Mention]) -> str:
    """HTML of a text that marks a model's right, missed and extra mentions.

    The comparison is strict: where a border or a label is wrong, one mark says both `missed` and
    `extra`.

    Raises:
        InputError: an offset lies outside the text.
    """
    types = load_entity_types()
    right = {_key(mention) for mention in gold}
    found = {_key(mention) for mention in predicted}
    marks = []
    for mention in predicted:
        name, colour = _shown(mention, types)
        if _key(mention) not in right:
            name, colour = f"extra {name}", _EXTRA
        marks.append(_mark(mention, name, colour))
    for mention in gold:
        if _key(mention) not in found:
            name = f"missed {_shown(mention, types)[0]}"
            marks.append(_mark(mention, name, _MISSED, scored=False))
    return _render(text, marks)


def _key(mention: Mention) -> tuple[int, int, str]:
    return mention.begin, mention.end, mention.label


def _shown(mention: Mention, types: dict[str, str]) -> tuple[str, str]:
    """The name and the colour of a mention; a type has one colour, whatever a model calls it."""
    name: str = getattr(mention, "entity_type", mention.label)
    kind = types.get(name.lower(), name.lower())
    # crc32 and not hash(), whose values differ between processes.
    other = _OTHER_COLOURS[zlib.crc32(kind.encode()) % len(_OTHER_COLOURS)]
    return name, _COLOURS.get(kind, other)


def _mark(mention: Mention, name: str, colour: str, scored: bool = True) -> _Mark:
    score = getattr(mention, "score", None) if scored else None
    hint = f"{name} {mention.begin}-{mention.end}"
    if score is not None:
        hint += f", score {score:.2f}"
    return _Mark(mention.begin, mention.end, (name,), (colour,), (hint,))


def _joined(marks: Iterable[_Mark]) -> list[_Mark]:
    """The marks in text order; marks that overlap are joined into one."""
    joined: list[_Mark] = []
    for mark in sorted(marks, key=lambda m: (m.begin, -m.end, m.names)):
        if not joined or mark.begin >= joined[-1].end:
            joined.append(mark)
            continue
        last = joined[-1]
        joined[-1] = _Mark(
            last.begin,
            max(last.end, mark.end),
            tuple(dict.fromkeys(last.names + mark.names)),
            tuple(dict.fromkeys(last.colours + mark.colours)),
            last.hints + mark.hints,
        )
    return joined


def _render(text: str, marks: Iterable[_Mark]) -> str:
    from spacy import displacy  # takes seconds to import, and jobs do not need it

    entities: list[dict[str, Any]] = []
    for mark in _joined(marks):
        if not 0 <= mark.begin < mark.end <= len(text):
            raise InputError(
                f"a mention at {mark.begin}-{mark.end} must lie inside the text, which has "
                f"{len(text)} characters: give the note that the mentions were found in"
            )
        # displaCy escapes only the text, and chooses colours by label; so both are done here.
        shown = {
            "label": html.escape(" + ".join(mark.names)),
            "hint": html.escape("; ".join(mark.hints)),
            "bg": mark.colours[0] if len(mark.colours) == 1 else _SEVERAL,
        }
        entities.append(
            {"start": mark.begin, "end": mark.end, "label": shown["label"], "params": shown}
        )
    # A browser shows a CR as a line break too. One character replaces each, so no offset moves.
    text = text.replace("\r\n", " \n").replace("\r", "\n")
    content = displacy.render(
        {"text": text, "ents": entities, "title": None},
        style="ent",
        manual=True,
        jupyter=False,
        options={"template": _MARK},
    )
    return _FRAME.format(content=content.strip())
