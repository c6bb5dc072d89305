"""The rules that decide whether a candidate may replace the champion, from counts and spans.

Knows no models, files or registry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from training.evaluation.intervals import f1_difference
from training.evaluation.measures import OVERALL, Counts, MatchCounts, precision_recall_f1
from udfs.errors import InputError
from udfs.spans import Span

# How much F1 a candidate may lose, as far as the test documents can tell. On the 500 documents of
# BC5CDR's test part the interval reaches 0.008 to either side, so an equal model passes.
MARGIN = 0.01


@dataclass(frozen=True)
class Gate:
    """The limits that a candidate must keep.

    `margin`: the candidate's overall F1 minus the champion's has a 95 % interval, whose lower end
    must be above `-margin`. `floors`: the least F1 of a label, or of `overall`. `max_changed`: the
    greatest share of real notes whose entities differ; None sets no limit.
    """

    margin: float = MARGIN
    floors: Mapping[str, float] = field(default_factory=dict)
    max_changed: float | None = None

    def __post_init__(self) -> None:
        numbers = {"margin": self.margin, **self.floors, "max_changed": self.max_changed or 0.0}
        for name, number in numbers.items():
            if not 0.0 <= number <= 1.0:
                raise InputError(f"gate {name} {number} must be from 0 to 1")


@dataclass(frozen=True)
class Comparison:
    """Strict F1 of both on the same documents, each `(rows,)`, and `(rows, 3)` differences.

    Without a champion there is only the candidate's F1.
    """

    rows: tuple[str, ...]
    candidate: Counts
    champion: Counts | None = None
    difference: Counts | None = None


@dataclass(frozen=True)
class NoteChanges:
    """How the candidate's entities in real notes differ from the champion's, as counts by label.

    `relabelled` counts by old and new label. A mention with changed borders counts as one lost and
    one gained.
    """

    notes: int
    changed: int
    kept: Counter[str]
    gained: Counter[str]
    lost: Counter[str]
    relabelled: Counter[tuple[str, str]]

    @property
    def changed_share(self) -> float:
        """The share of notes with any difference."""
        return self.changed / self.notes if self.notes else 0.0


def compare(candidate: MatchCounts, champion: MatchCounts | None) -> Comparison:
    """Compares both on the same documents; both must have the same rows."""
    f1 = precision_recall_f1(*candidate.totals())[:, 2]
    if champion is None:
        return Comparison(candidate.rows, f1)
    other = precision_recall_f1(*champion.totals())[:, 2]
    return Comparison(candidate.rows, f1, other, f1_difference(champion, candidate))


def compare_notes(
    champion: Sequence[Sequence[Span]], candidate: Sequence[Sequence[Span]]
) -> NoteChanges:
    """Compares the spans that both found in each note."""
    changes = NoteChanges(len(champion), 0, Counter(), Counter(), Counter(), Counter())
    changed = 0
    for old_spans, new_spans in zip(champion, candidate, strict=True):
        old = {(span.begin, span.end, span.label) for span in old_spans}
        new = {(span.begin, span.end, span.label) for span in new_spans}
        changed += old != new
        changes.kept.update(label for _, _, label in old & new)
        went, came = old - new, new - old
        old_labels = {key[:2]: key for key in sorted(went)}
        for key in sorted(came):
            partner = old_labels.pop(key[:2], None)
            if partner is None:
                changes.gained[key[2]] += 1
            else:
                changes.relabelled[partner[2], key[2]] += 1
                went.discard(partner)
        changes.lost.update(label for _, _, label in went)
    return NoteChanges(
        changes.notes, changed, changes.kept, changes.gained, changes.lost, changes.relabelled
    )


def broken_rules(gate: Gate, found: Comparison, changes: NoteChanges | None) -> list[str]:
    """The rules that the candidate breaks, in words; if it breaks none, it may be promoted.

    Raises:
        InputError: a floor is set for a label that neither the documents nor the model have.
    """
    broken = []
    f1 = dict(zip(found.rows, found.candidate, strict=True))
    if unknown := sorted(set(gate.floors) - set(f1)):
        raise InputError(
            f"a floor is set for {', '.join(unknown)}, but the test documents and the model have "
            f"{', '.join(found.rows)}"
        )
    for row, floor in gate.floors.items():
        if f1[row] < floor:
            broken.append(f"F1 of {row} is {f1[row]:.4f}, below the floor {floor}")
    if found.difference is not None:
        broken += _worse(gate.margin, found.rows, found.difference)
    share = changes.changed_share if changes else 0.0
    if gate.max_changed is not None and share > gate.max_changed:
        broken.append(f"{share:.1%} of the notes change, more than {gate.max_changed:.1%}")
    return broken


def _worse(margin: float, rows: Sequence[str], differences: Counts) -> list[str]:
    broken = []
    for row, (difference, low, high) in zip(rows, differences, strict=True):
        interval = f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"
        if row == OVERALL and low <= -margin:
            broken.append(f"F1 may be worse than the champion's by {margin} or more: {interval}")
        elif row != OVERALL and high < 0:
            broken.append(f"F1 of {row} is worse than the champion's: {interval}")
    return broken
