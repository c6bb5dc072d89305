"""What the training jobs show on a terminal: a progress line and the table of scores.

Numbers and labels only, no text.
"""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from training.evaluation.measures import OVERALL
from training.evaluation.strict_scores import Scores
from training.fine_tuning.repeats import Repeats
from training.loop.training_loop import StepReport


def score_table(scores: Scores, title: str) -> Table:
    """Precision, recall and F1 of every label, the micro average last."""
    table = Table(title=title)
    table.add_column("label")
    for name in ("precision", "recall", "F1", "gold", "predicted", "correct"):
        table.add_column(name, justify="right")
    for label, row in scores.rows().items():
        measures = (f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}")
        counts = (str(row.gold), str(row.predicted), str(row.correct))
        table.add_row(label, *measures, *counts, style="bold" if label == OVERALL else "")
    return table


def spread_table(repeats: Repeats, part: str) -> Table:
    """F1 of every label with each seed, and the mean and standard deviation over the seeds."""
    table = Table(title=f"F1 on {part}, best seed {repeats.best_seed}")
    table.add_column("label")
    for seed in repeats.f1:
        table.add_column(f"seed {seed}", justify="right")
    table.add_column("mean ± deviation", justify="right")
    for label, spread in repeats.spread(part).items():
        each = [f"{parts[part].get(label, 0.0):.4f}" for parts in repeats.f1.values()]
        both = f"{spread.mean:.4f} ± {spread.deviation:.4f}"
        table.add_row(label, *each, both, style="bold" if label == OVERALL else "")
    return table


def training_progress(console: Console) -> Progress:
    """A progress line for epoch, loss and the time left; `show_step` updates it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def show_step(progress: Progress, report: StepReport, mean_loss: float) -> None:
    """Updates the line of `training_progress` after a step of the training loop."""
    done = f"epoch {report.epoch + 1}, step {report.step}, loss {mean_loss:.4f}"
    show_share(progress, report.fraction, done)


def show_share(progress: Progress, fraction: float, description: str) -> None:
    """Updates the line of `training_progress` with a finished share and a text."""
    if not progress.tasks:
        progress.add_task("training", total=1.0)
    progress.update(progress.tasks[0].id, completed=fraction, description=description)
