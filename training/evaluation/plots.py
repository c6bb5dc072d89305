"""Plots of an evaluation as PNG files: reliability of the scores, F1 by label with intervals.

Numbers and labels only. Uses no display and no global state of matplotlib.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from training.evaluation.calibration import MentionOutcomes, expected_calibration_error, reliability
from training.evaluation.evaluation import Evaluation

RELIABILITY, F1_BY_LABEL = "reliability.png", "f1_by_label.png"
_SHOWN = ("strict", "lenient")


def write_plots(folder: Path, evaluation: Evaluation) -> list[Path]:
    """Writes both plots into the folder and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        RELIABILITY: reliability_figure({"scores": evaluation.outcomes}),
        F1_BY_LABEL: f1_figure(evaluation),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
    return [folder / name for name in figures]


def reliability_figure(curves: dict[str, MentionOutcomes]) -> Figure:
    """The share of right mentions plotted against their score, a curve for each name."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--")
    for name, outcomes in curves.items():
        bins = reliability(outcomes)
        error = expected_calibration_error(outcomes)
        axes.plot(
            [part.mean_score for part in bins],
            [part.share_right for part in bins],
            marker="o",
            label=f"{name}, error {error:.3f}",
        )
    axes.set(xlabel="score", ylabel="right (strict)", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="upper left")
    return figure


def f1_figure(evaluation: Evaluation) -> Figure:
    """F1 of each label, strict and lenient, with 95 % intervals."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for offset, name in zip((-0.1, 0.1), _SHOWN, strict=True):
        one = evaluation.measures[name]
        f1, ends = one.scores[:, 2], one.intervals[:, 2]
        # Both ends of a bootstrap interval can lie on the same side of the score.
        bars = [(f1 - ends[:, 0]).clip(0), (ends[:, 1] - f1).clip(0)]
        places = [place + offset for place in range(len(f1))]
        axes.errorbar(places, f1, yerr=bars, fmt="o", capsize=4, label=name)
    rows = evaluation.measures[_SHOWN[0]].counts.rows
    axes.set(ylabel="F1", ylim=(0, 1), xticks=range(len(rows)), xticklabels=rows)
    axes.legend(loc="lower right")
    return figure
