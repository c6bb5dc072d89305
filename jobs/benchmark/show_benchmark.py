"""A benchmark's figures as a table, for a terminal and docs/benchmark.md, and as plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.benchmark.measure_speed import CLINSPAN, ENGINE
from jobs.display.show_run import console

NAMES = (
    "what",
    "notes",
    "copies",
    "notes/s",
    "word-pieces/s",
    "distinct word-pieces/s",
    "Clinspan is faster by",
    "of the bound",
    "F1",
    "JVM MiB",
    "worker MiB",
)

TABLE_WIDTH = 140  # also in a file or a narrow window: cut lines are better than cut cells


def show_benchmark(report: Sequence[dict[str, Any]]) -> None:
    """Prints every measurement, one a line."""
    table = Table(*NAMES)
    for row in benchmark_rows(report):
        table.add_row(*row)
    Console(width=max(console.width, TABLE_WIDTH)).print(table)
    engine = _engine(report)
    console.print(
        f"bound {engine['bound']:,.0f} word-pieces/s = {engine['flops'] / 1e9:,.0f} GFLOP/s of a "
        f"matrix product ÷ {engine['flops_per_wordpiece'] / 1e6:.1f} MFLOP a word-piece; "
        f"tokenizing took {engine['tokenizing_seconds'] / engine['seconds']:.1%} of the engine's "
        "time",
        highlight=False,
    )


def benchmark_rows(report: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The cells of each measurement, under `NAMES`.

    For a peer, the word-pieces are those that Clinspan counts in the same notes. A peer scores all
    of them, so its share of the bound is computed from all word-pieces, Clinspan's from the
    distinct ones. Where Clinspan was measured several times on the same notes, a peer is compared
    with the mean.
    """
    bound = _engine(report)["bound"]
    ours: dict[str, list[dict[str, float]]] = {}
    for measurement in report:
        if measurement["what"] == CLINSPAN:
            ours.setdefault(measurement["notes"], []).append(measurement["figures"])
    means = {
        notes: all_figures[0] | {"seconds": fmean(f["seconds"] for f in all_figures)}
        for notes, all_figures in ours.items()
    }
    return [_cells(m, means.get(m["notes"]), bound) for m in report]


def _engine(report: Sequence[dict[str, Any]]) -> dict[str, float]:
    figures: dict[str, float] = next(m["figures"] for m in report if m["what"] == ENGINE)
    return figures


def _cells(measurement: dict[str, Any], same: dict[str, float] | None, bound: float) -> list[str]:
    what, figures, peaks = (measurement[name] for name in ("what", "figures", "peaks"))
    if what == ENGINE:
        speed = figures["wordpieces"] / figures["seconds"]
        return [what, "", "", "", "", f"{speed:,.0f}", "", f"{speed / bound:.0%}", "", "", ""]
    speed = figures["notes"] / figures["seconds"]
    f1 = f"{figures['f1']:.4f}" if "f1" in figures else ""
    sizes = [f"{peaks.get(kind, 0):,}" for kind in ("JVM", "worker")]
    cells = [what, f"{figures['notes']:,.0f}", "", f"{speed:,.2f}"]
    if same is None:  # Clinspan did not run on these notes: they only tuned a peer
        return [*cells, "", "", "", "", f1, *sizes]
    is_peer = what != CLINSPAN
    cells[2] = f"{1 - same['distinct_wordpieces'] / same['wordpieces']:.0%}"
    rates = {
        name: same[name] / figures["seconds"] for name in ("wordpieces", "distinct_wordpieces")
    }
    ratio = same["notes"] / same["seconds"] / speed
    scored = rates["wordpieces" if is_peer else "distinct_wordpieces"]
    return [
        *cells,
        *(f"{rate:,.0f}" for rate in rates.values()),
        f"{ratio:.2f}" if is_peer else "",
        f"{scored / bound:.0%}",
        f1,
        *sizes,
    ]


def write_plots(report: Sequence[dict[str, Any]], folder: Path, copies_notes: int) -> None:
    """Writes `peers.png`, `sizes.png` and `copies.png`, each if there are figures for it.

    Args:
        report: the measurements.
        folder: the folder for the plots.
        copies_notes: how many notes the measurements have that `copies.png` compares.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ours = [m for m in report if m["what"] == CLINSPAN]
    same = ours[0]["notes"]
    beside = {m["what"]: _speed(m) for m in report if m["notes"] == same and m["what"] != ENGINE}
    beside[CLINSPAN] = 1 / fmean(1 / _speed(m) for m in ours if m["notes"] == same)
    others = [m["figures"] for m in ours if m["notes"] != same]
    sizes = {f["notes"]: 1000 * f["seconds"] / f["notes"] for f in others if _is_half_copied(f)}
    copies = {
        1 - f["distinct_windows"] / f["windows"]: f["notes"] / f["seconds"]
        for f in others
        if f["notes"] == copies_notes
    }
    for name, kind, values, x_name, y_name in (
        ("peers", "barh", beside, "notes/s", ""),
        ("sizes", "plot", sizes, "notes in one run, half of their windows copied", "ms a note"),
        ("copies", "plot", copies, "share of windows that are copies", "notes/s"),
    ):
        if not values:
            continue
        figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
        points = sorted(values.items(), key=lambda item: item[1 if kind == "barh" else 0])
        if kind == "barh":
            bars = axes.barh([str(x) for x, _ in points], [y for _, y in points])
            axes.bar_label(bars, fmt="%.1f", padding=3)
            axes.margins(x=0.1)
        else:
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o")
            axes.set_ylim(bottom=0)
        axes.set_xlabel(x_name)
        axes.set_ylabel(y_name)
        figure.savefig(folder / f"{name}.png", dpi=120)
        pyplot.close(figure)


def _speed(measurement: dict[str, Any]) -> float:
    figures = measurement["figures"]
    return float(figures["notes"] / figures["seconds"])


def _is_half_copied(figures: dict[str, float]) -> bool:
    return 0.4 < 1 - figures["distinct_windows"] / figures["windows"] < 0.6
