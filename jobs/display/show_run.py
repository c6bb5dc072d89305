"""Shows a person a run: its steps while it works, and its summary at the end.

On a terminal the steps are one line that changes; in a log (cron, Airflow) each is a line.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from jobs.command_line.exit_codes import plain
from pipelines import progress
from pipelines.run.run_record import RunRecord
from pipelines.tables.definitions import ENTITIES, TABLES
from pipelines.tables.table_root import TableRoot

console = Console(highlight=False, soft_wrap=True)


class ConsoleProgress(progress.Progress):
    """Shows the steps of a run and, while windows are scored, the progress."""

    def __init__(self) -> None:
        self._started = self._scoring_since = time.monotonic()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, words="")

    def __enter__(self) -> ConsoleProgress:
        if console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if console.is_terminal:
            self._bar.stop()

    def step(self, words: str) -> None:
        """Shows the name of the step that begins."""
        self._scoring_since = time.monotonic()
        self._bar.update(self._task, description=words, total=None, completed=0, words="")
        self._log(words)

    def scored(self, characters: int, total: int) -> None:
        """Shows the share of new text that is scored, the speed and the time left."""
        seconds = max(time.monotonic() - self._scoring_since, 1e-3)
        speed = characters / seconds
        left = (total - characters) / speed if speed else 0.0
        words = f"{characters:,} of {total:,} new characters, {speed:,.0f}/s, {duration(left)} left"
        self._bar.update(self._task, total=total, completed=characters, words=words)
        self._log(f"scoring windows: {words}")

    def _log(self, words: str) -> None:
        if not console.is_terminal:
            console.print(f"[{time.monotonic() - self._started:7.1f} s] {words}", markup=False)


def duration(seconds: float) -> str:
    """The time in words: hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def show_summary(record: RunRecord, root: TableRoot) -> None:
    """Prints what a run did, where the tables are and a query to paste."""
    table = Table(title=f"Run {record.run_id[:8]} {record.status}", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, value in summary_rows(record):
        table.add_row(name, value)
    console.print(table)
    names = [entry.name for entry in TABLES]
    console.print(f"Tables in {root.describe()}: {', '.join(names)}", markup=False)
    console.print("Try, in SQL:", markup=False)
    console.print(f"  {example_query(root)}", markup=False)


def show_mentions(mentions: Sequence[tuple[str, str, int, float]]) -> None:
    """Prints mentions, most frequent first.

    They are text of notes: call it only if the user asked for them.
    """
    table = Table(title="Mentions that stand in most notes")
    for name in ("type", "mention", "notes", "mean score"):
        table.add_column(name, justify="right" if name in ("notes", "mean score") else "left")
    for entity_type, mention, notes, score in mentions:
        table.add_row(
            entity_type, Text(plain(" ".join(mention.split()))), f"{notes:,}", f"{score:.2f}"
        )
    console.print(table)


def summary_rows(record: RunRecord) -> list[tuple[str, str]]:
    """Name and value of each line of the summary, in order."""
    counts: list[tuple[str, int | None]] = [
        ("rows read", record.rows_read),
        ("  withdrawn", record.withdrawn_notes),
        ("  notes whose rows were removed for that", record.removed_notes),
        ("  quarantined", record.quarantined_notes),
        ("  repeated", record.repeated_rows),
        ("notes", record.notes),
        ("  unchanged or older, left alone", record.unchanged_notes),
        ("  done in this run", record.worked_notes),
        ("  of these blank", record.blank_notes),
        ("  with an unreadable id, number or time", record.notes_with_lost_details),
        ("windows", record.windows),
        ("  distinct", record.distinct_windows),
        ("  scored in this run", record.scored_windows),
        ("word-pieces", record.wordpieces),
        ("  scored in this run", record.scored_wordpieces),
        ("characters that the model cannot read", record.unread_characters),
        ("entities", record.entities),
        *((f"  {label}", count) for label, count in record.labels),
    ]
    always = {"rows read", "notes", "windows", "word-pieces", "entities"}
    rows = [(name, f"{n:,}") for name, n in counts if n is not None and (n or name in always)]
    if record.missing_details:  # columns of a preset that the source lacks, or misspelt names
        rows.append(("no column in the notes for", ", ".join(record.missing_details)))
    return rows + _speeds(record)


def _speeds(record: RunRecord) -> list[tuple[str, str]]:
    rows = []
    if record.seconds:
        notes = record.worked_notes / record.seconds
        rows.append(("time", f"{duration(record.seconds)}, {notes:,.1f} notes/s"))
    if record.inference_seconds and record.scored_wordpieces:
        speed = record.scored_wordpieces / record.inference_seconds
        rows.append(("scoring speed", f"{speed:,.0f} word-pieces/s"))
    return rows


def example_query(root: TableRoot) -> str:
    """A query on the entity table that can be run unchanged."""
    return (
        "SELECT entity_type, lower(text) AS mention, count(DISTINCT note_id) AS notes FROM "
        f"{root.sql_name(ENTITIES)} GROUP BY ALL ORDER BY notes DESC LIMIT 20"
    )
