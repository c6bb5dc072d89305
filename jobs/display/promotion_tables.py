"""What `jobs/promote_model.py` shows on a terminal: numbers and labels, no text."""

from __future__ import annotations

from rich.table import Table

from training.comparison.promotion import NoteChanges
from training.comparison.promotion_run import Promotion
from training.evaluation.measures import OVERALL


def comparison_table(done: Promotion) -> Table:
    """Strict F1 of both and the difference with its interval, a row for each label."""
    found = done.comparison
    table = Table(title=f"strict F1 of {done.candidate.name}")
    for name in ("label", "champion", "candidate", "difference (95 % interval)"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for i, row in enumerate(found.rows):
        champion, difference = "", ""
        if found.champion is not None and found.difference is not None:
            champion = f"{found.champion[i]:.4f}"
            value, low, high = found.difference[i]
            difference = f"{value:+.4f} ({low:+.4f} to {high:+.4f})"
        style = "bold" if row == OVERALL else ""
        table.add_row(row, champion, f"{found.candidate[i]:.4f}", difference, style=style)
    return table


def note_table(changes: NoteChanges) -> Table:
    """How the candidate's entities in real notes differ from the champion's."""
    share = f"{changes.changed} of {changes.notes} notes change ({changes.changed_share:.1%})"
    table = Table(title=share)
    for name in ("label", "kept", "gained", "lost", "relabelled to"):
        table.add_column(name, justify="left" if name == "label" else "right")
    counters = (changes.kept, changes.gained, changes.lost)
    labels = {
        *(label for one in counters for label in one),
        *(old for old, _ in changes.relabelled),
    }
    for label in sorted(labels):
        moved = [
            f"{new} {count}"
            for (old, new), count in sorted(changes.relabelled.items())
            if old == label
        ]
        table.add_row(label, *(str(one[label]) for one in counters), ", ".join(moved))
    return table


def verdict(done: Promotion, name: str, alias: str) -> str:
    """The outcome in words: one sentence, or a line for each broken rule."""
    if done.version is None:
        stays = f"{alias} stays {done.champion.address}" if done.champion else f"no {alias} is set"
        return "\n".join(("The gate does not hold:", *done.broken, f"{stays}."))
    before = f", before {done.champion.address}" if done.champion else ""
    return f"models:/{name}@{alias} is models:/{name}/{done.version} now{before}."
