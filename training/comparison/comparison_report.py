"""A comparison of models as JSON, as Markdown tables and as a plot: numbers and labels, no text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.comparison.model_comparison import THREADS, ModelComparison, ModelResult, costs
from training.evaluation.evaluation import SCORES
from training.evaluation.measures import Counts

JSON_FILE, TABLE_FILE, PLOT_FILE = "comparison.json", "comparison.md", "comparison.png"


def write_comparison(folder: Path, done: ModelComparison) -> None:
    """Writes all three files into a folder, and makes the folder if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_dict(done), indent=2, ensure_ascii=False) + "\n"
    (folder / JSON_FILE).write_text(text, encoding="utf-8")
    (folder / TABLE_FILE).write_text(to_markdown(done), encoding="utf-8")
    comparison_figure(done).savefig(folder / PLOT_FILE, dpi=120)


def to_dict(done: ModelComparison) -> dict[str, Any]:
    """Plain numbers for JSON."""
    return {
        "corpus": done.corpus,
        "part": done.part,
        "documents": done.documents,
        "characters": done.characters,
        "data_digest": done.data_digest,
        "threads": THREADS,
        "models": {result.name: _entry(result) for result in done.results},
    }


def _entry(result: ModelResult) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "model": result.manifest.name,
        "model_fingerprint": result.manifest.fingerprint,
        "base_model": result.manifest.base_model,
        "strict": result.strict.to_dict(),
        **costs(result),
    }
    if result.difference is not None:
        entry["f1_difference"] = {
            row: {
                "value": round(float(value), 4),
                "interval": [round(float(low), 4), round(float(high), 4)],
            }
            for row, (value, low, high) in zip(
                result.strict.counts.rows, result.difference, strict=True
            )
        }
    return entry


def to_markdown(done: ModelComparison) -> str:
    """A table of all models, then one of each label."""
    first = done.results[0].name
    lines = [
        f"Strict scores on {done.title}, with 95 % intervals; differences of F1 to {first} are "
        "paired. Speed is that of one thread, warm, document after document; memory the peak of a "
        "process that does nothing else.",
        "",
        *_table(
            (
                *("model", "precision", "recall", "F1", f"F1 to {first}", "characters/s"),
                *("documents/s", "parameters", "MB on disk", "peak MiB", "load s"),
            ),
            [_overall(result) for result in done.results],
        ),
    ]
    for i, label in enumerate(done.results[0].strict.counts.rows[:-1]):
        rows = [(result.name, *_scores(result, i)) for result in done.results]
        header = (label, "precision", "recall", "F1", f"F1 to {first}")
        lines += ["", *_table(header, rows)]
    return "\n".join(lines) + "\n"


def _overall(result: ModelResult) -> tuple[str, ...]:
    trial = result.trial
    return (
        result.name,
        *_scores(result, -1),
        f"{trial.characters_per_second:,.0f}",
        f"{trial.documents_per_second:.1f}",
        f"{trial.parameters / 1e6:.1f} M",
        f"{result.bytes_on_disk / 1e6:.1f}",
        f"{trial.peak_mib:.0f}",
        f"{trial.load_seconds:.1f}",
    )


def _scores(result: ModelResult, row: int) -> tuple[str, ...]:
    one = result.strict
    scores = [
        f"{one.scores[row, j]:.4f} ({one.intervals[row, j, 0]:.3f}-{one.intervals[row, j, 1]:.3f})"
        for j in range(len(SCORES))
    ]
    if result.difference is None:
        return (*scores, "")
    value, low, high = result.difference[row]
    return (*scores, f"{value:+.4f} ({low:+.4f} to {high:+.4f})")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with padded columns, so that its source is readable too."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        f"| {' | '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))} |"
        for row in cells
    ]
    rule = f"| {' | '.join('-' * width for width in widths)} |"
    return [lines[0], rule, *lines[1:]]


def comparison_figure(done: ModelComparison) -> Figure:
    """F1 with intervals by label, then speed, memory and size of each model."""
    height = 1.4 + 0.22 * len(done.results) * (1 + len(done.results[0].strict.counts.rows))
    figure = Figure(figsize=(12, max(4.0, height)), layout="constrained")
    figure.suptitle(done.title)
    scores, *others = figure.subplots(1, 4, width_ratios=(3, 2, 2, 2))
    _draw_f1(scores, done.results)
    names = [result.name for result in done.results]
    for axes, title, values in zip(
        others,
        ("characters/s, one thread", "peak memory, MiB", "size on disk, MB"),
        (
            [result.trial.characters_per_second for result in done.results],
            [result.trial.peak_mib for result in done.results],
            [result.bytes_on_disk / 1e6 for result in done.results],
        ),
        strict=True,
    ):
        colours = [f"C{place % 10}" for place in range(len(names))]
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, [f" {value:,.0f}" for value in values])
        axes.set(title=title, xlim=(0, 1.45 * max(values)), yticklabels=[])
        axes.locator_params(axis="x", nbins=4)
        axes.invert_yaxis()
    figure.legend(*scores.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _draw_f1(axes: Axes, results: Sequence[ModelResult]) -> None:
    rows = results[0].strict.counts.rows
    for place, result in enumerate(results):
        f1: Counts = result.strict.scores[:, 2]
        ends: Counts = result.strict.intervals[:, 2]
        # Both ends of a bootstrap interval can lie on the same side of the score.
        bars = [(f1 - ends[:, 0]).clip(0), (ends[:, 1] - f1).clip(0)]
        shift = (place - (len(results) - 1) / 2) * 0.7 / len(results)
        heights = [row + shift for row in range(len(rows))]
        colour = f"C{place % 10}"
        axes.errorbar(f1, heights, xerr=bars, fmt="o", capsize=3, color=colour, label=result.name)
    axes.set(title="strict F1", yticks=range(len(rows)), yticklabels=rows)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
