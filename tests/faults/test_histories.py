"""Random histories of notes against a model of the right answer that fits on a page."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.progress import Progress
from pipelines.run import note_writing
from pipelines.run.extraction_run import run_extraction
from pipelines.scoring import prediction_table
from pipelines.source.note_columns import NoteColumns
from pipelines.tables.definitions import ENTITIES, PROCESSED_NOTES
from pipelines.tables.table_root import TableRoot
from pipelines.verification.table_verification import open_for_checks, verify_tables
from tests.support.run_plans import plan_of

pytestmark = pytest.mark.faults

DRUGS = ("aspirin", "heparin", "insulin", "warfarin", "lisinopril")
DETAILS = {"storetime": ("storetime",)}
# Where a run dies: before the n-th write of this kind.
CRASHES = (
    (prediction_table, "append_rows", 1),
    (note_writing, "replace_notes", 1),
    (note_writing, "replace_notes", 2),
    (note_writing, "replace_notes", 3),
    (note_writing, "delete_rows", 2),
)


@dataclass(frozen=True)
class Row:
    """A row of a day's file. `time` is an hour, or None."""

    note_id: str
    text: str
    time: int | None
    gone: bool

    @property
    def rank(self) -> tuple[int, bool]:
        return (-1 if self.time is None else self.time, not self.gone)


@dataclass
class RightAnswer:
    """The text and the time of each note that is done, after any days in any order."""

    done: dict[str, tuple[str, int | None]] = field(default_factory=dict)

    def take(self, rows: list[Row]) -> None:
        for note_id in {row.note_id for row in rows}:
            own = [row for row in rows if row.note_id == note_id]
            best = max(row.rank for row in own)
            last = [row for row in own if row.rank == best]
            if last[0].gone:
                self._withdraw(last[0])
            elif len({row.text for row in last}) == 1:
                self._put(last[0])

    def _withdraw(self, row: Row) -> None:
        _, time = self.done.get(row.note_id, ("", None))
        if row.time is None or time is None or row.time >= time:
            self.done.pop(row.note_id, None)

    def _put(self, row: Row) -> None:
        _, time = self.done.get(row.note_id, ("", None))
        is_older = time is not None and (row.time is None or row.time < time)
        if not is_older:
            self.done[row.note_id] = (row.text, row.time)


def days(dice: random.Random, count: int) -> Iterator[list[Row]]:
    """Files of a few rows over a few ids: new, amended, late, doubled, tied and withdrawn notes."""
    for _ in range(count):
        yield [
            Row(
                note_id=f"n{dice.randrange(6)}",
                text=f"Takes {dice.choice(DRUGS)}.\n\nAlso {dice.choice(DRUGS)}.",
                time=dice.choice([None, *range(10), *range(10)]),
                gone=dice.random() < 0.2,
            )
            for _ in range(dice.randint(2, 6))
        ]


class Crash(Exception):
    """A run dies here."""


def crash_before(patch: pytest.MonkeyPatch, module, name: str, number: int) -> None:
    write, calls = getattr(module, name), []

    def dying(*arguments, **named):
        calls.append(name)
        if len(calls) == number:
            raise Crash
        return write(*arguments, **named)

    patch.setattr(module, name, dying)


@pytest.mark.parametrize("seed", [1, 2])
def test_histories(spark, fake_engine, fault, tmp_path: Path, seed: int) -> None:
    """random days of new, amended, late, tied and withdrawn notes, with crashes and reruns"""
    dice = random.Random(seed)
    notes = tmp_path / "notes.jsonl"
    columns = NoteColumns(details=DETAILS, withdrawn="gone")
    plan = plan_of(notes, tmp_path / "root", fake_engine, columns)
    root = plan.root
    right = RightAnswer()
    crashes = 0
    for rows in days(dice, 8):
        notes.write_text("\n".join(json.dumps(as_json(row)) for row in rows), encoding="utf-8")
        if dice.random() < 0.6:
            with pytest.MonkeyPatch.context() as patch:
                crash_before(patch, *dice.choice(CRASHES))
                try:
                    run_extraction(spark, plan, Progress())
                except Crash:
                    crashes += 1
        record = run_extraction(spark, plan, Progress())
        right.take(rows)
        assert record.rows_read == len(rows)
        assert found(spark, root) == {i: text for i, (text, _) in right.done.items()}
    assert crashes > 1 and right.done
    tables, _ = open_for_checks(spark, root)
    assert not [finding for finding in verify_tables(tables) if finding.is_violation]
    fault.result = f"8 days, {crashes} crashes: after each day the right notes; tables verified"


def as_json(row: Row) -> dict[str, object]:
    time = None if row.time is None else f"2150-01-01T{row.time:02}:00:00"
    return {"note_id": row.note_id, "text": row.text, "storetime": time, "gone": row.gone}


def found(spark, root: TableRoot) -> dict[str, str]:
    """The texts that the tables say of each note in the ledger, from its mentions."""
    marks = root.read(spark, ENTITIES).select("note_id", "begin", "text").collect()
    mentions = {(m.note_id, m.begin > 10): m.text for m in marks}
    assert len(mentions) == len(marks)
    ledger = root.read(spark, PROCESSED_NOTES).select("note_id").collect()
    ids = {row.note_id for row in ledger}
    assert len(ids) == len(ledger) and {note_id for note_id, _ in mentions} <= ids
    return {i: f"Takes {mentions[i, False]}.\n\nAlso {mentions[i, True]}." for i in ids}
