"""What `jobs/score_model.py` shows on a terminal: numbers and labels, no text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from training.evaluation.calibration import MentionOutcomes
from training.evaluation.document_groups import Group
from training.evaluation.evaluation import Evaluation, Measured, calibration_figures, measured
from training.evaluation.measures import OVERALL, STRICT, Counts, count_matches


def strict_table(evaluation: Evaluation, title: str) -> Table:
    """Strict precision, recall and F1 with intervals, and counts; the micro average last."""
    strict = evaluation.measures[STRICT]
    table = _table(title, "label", "precision", "recall", "F1", "gold", "predicted", "correct")
    points, golds, founds = strict.counts.totals()
    for i, row in enumerate(strict.counts.rows):
        scores = [_with_interval(strict, i, j) for j in range(3)]
        counts = (f"{int(part[i])}" for part in (golds, founds, points))
        table.add_row(row, *scores, *counts, style="bold" if row == OVERALL else "")
    return table


def measure_table(evaluation: Evaluation) -> Table:
    """F1 of every other measure, a row for each label."""
    others = {name: one for name, one in evaluation.measures.items() if name != STRICT}
    table = _table("F1 with 95 % intervals", "label", *others)
    for i, row in enumerate(evaluation.measures[STRICT].counts.rows):
        scores = [_with_interval(one, i, 2) for one in others.values()]
        table.add_row(row, *scores, style="bold" if row == OVERALL else "")
    return table


def group_table(by: str, groups: Sequence[Group], resamples: int) -> Table:
    """Strict scores of each group, all labels together."""
    table = _table(f"strict, by {by}", by, "documents", "gold", "precision", "recall", "F1")
    for group in groups:
        counts = count_matches(group.documents, group.predicted, [STRICT])[STRICT]
        found = measured(counts, resamples)
        scores = [_with_interval(found, -1, j) for j in range(3)]
        gold = int(counts.totals()[1][-1])
        table.add_row(group.name, str(len(group.documents)), str(gold), *scores)
    return table


def calibration_line(evaluation: Evaluation) -> str:
    """How far scores are from probabilities, in a sentence."""
    figures = calibration_figures(evaluation.outcomes)
    return (
        f"Scores of mentions: mean {figures['mean_score']:.3f}, right {figures['share_right']:.3f} "
        f"(strict); expected calibration error {figures['expected_calibration_error']:.3f}"
    )


def calibration_table(before: MentionOutcomes, after: MentionOutcomes, title: str) -> Table:
    """How far scores are from probabilities, before and after calibration, by label."""
    table = _table(title, "label", "mentions", "right", "mean score", "after", "ECE", "after")
    for label in (*sorted(set(before.labels)), OVERALL):
        parts = [one if label == OVERALL else one.of_label(label) for one in (before, after)]
        first, second = (calibration_figures(part) for part in parts)
        figures = [first["share_right"]]
        for name in ("mean_score", "expected_calibration_error"):
            figures += [first[name], second[name]]
        style = "bold" if label == OVERALL else ""
        count = str(len(parts[0].labels))
        table.add_row(label, count, *(f"{figure:.3f}" for figure in figures), style=style)
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _with_interval(one: Measured, row: int, score: int) -> str:
    ends: Counts = one.intervals[row, score]
    low, high = (f"{end:.3f}".removeprefix("0") for end in ends)
    return f"{one.scores[row, score]:.4f}\n{low}-{high}"  # two lines in one cell
