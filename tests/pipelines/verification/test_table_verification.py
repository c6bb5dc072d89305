"""Each check fires on rows that were broken on purpose, and none on a sound root.

The broken tables are copies of one note's rows in memory, each under a name of its own and broken
in one way, so that one action shows which check says what of which note.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines import schemas
from pipelines.source.note_source import NoteColumns, NoteSource
from pipelines.tables.definitions import TABLES
from pipelines.tables.table_root import TableRoot
from pipelines.verification.check_views import VIEWS
from pipelines.verification.note_verification import NOTE_CHECKS, notes_with_rows, verify_notes
from pipelines.verification.table_checks import CHECKS, Check
from pipelines.verification.table_verification import (
    Finding,
    open_for_checks,
    run_checks,
    verify_tables,
)
from udfs.errors import InputError

KEY = b"k" * 32
COLUMNS = NoteColumns(details={name: (name,) for name in schemas.NOTE_DETAILS})
Rows = dict[str, list[dict[str, Any]]]
TIME = datetime(2150, 1, 1, tzinfo=UTC)


def found_by(findings: list[Finding]) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {f.check.name: (f.broken, f.examples) for f in findings if f.broken}


def test_a_sound_root_breaks_no_check(spark, made_root: Path) -> None:
    tables, missing = open_for_checks(spark, TableRoot.at(str(made_root / "root"), None))
    source = NoteSource(COLUMNS, path=str(made_root / "notes.jsonl"))
    findings = [*verify_tables(tables), *verify_notes(spark, tables, source, KEY, 100)]
    assert (missing.broken, found_by(findings)) == (0, {})
    looked_at = {f.check.name: f.looked_at for f in findings}
    assert looked_at["entity_offsets"] == looked_at["duplicate_entities"] == 9
    assert looked_at["entity_count"] == looked_at["uncovered_text"] == 6
    assert looked_at["window_count"] == 6 and looked_at["entities_in_windows"] > 10
    assert (looked_at["run_counts"], looked_at["rows_not_refused"]) == (2, 1)


def test_every_check_has_a_view_and_a_name_of_its_own() -> None:
    assert {check.view for check in CHECKS} == set(VIEWS)
    names = [check.name for check in (*CHECKS, *NOTE_CHECKS)]
    assert len(set(names)) == len(names)


class Broken:
    """Rows of all tables; `add` puts in one more note, whose rows a case then breaks."""

    def __init__(self, tables) -> None:
        self.rows: Rows = {
            name: [row.asDict(recursive=True) for row in rows.collect()]
            for name, rows in tables.items()
        }
        self.expected: dict[str, set[str]] = {}
        self.model = {
            n: [r for r in rows if r.get("note_id") == "a"] for n, rows in self.rows.items()
        }
        run = next(
            r for r in self.rows["runs"] if r["end"] == max(x["end"] for x in self.rows["runs"])
        )
        self.last = run["run_id"]
        big = dict.fromkeys(("notes", "windows", "wordpieces", "entities"), 10_000)
        self.run = run | big | {"run_id": "copies", "start": run["start"] - timedelta(days=9)}
        self.add_run("copies")

    def add_run(self, run_id: str, **changes: object) -> None:
        self.rows["runs"].append(self.run | {"run_id": run_id} | changes)

    def add(self, note_id: str, *checks: str, shown: str | None = None) -> Rows:
        """A copy of note `a`, which these checks will find, under its id or under `shown`."""
        copy: Rows = {}
        for name in ("entities", "processed_notes", "note_windows"):
            copy[name] = [row | {"note_id": note_id} for row in self.model[name]]
            for row in copy[name]:
                if "run_id" in row:
                    row["run_id"] = "copies"
            self.rows[name] += copy[name]
        for row in copy["entities"]:
            row["entity_id"] = f"{note_id} {row['begin']}"
        for check in checks:
            self.expected.setdefault(check, set()).add(shown or note_id)
        copy["note_windows"].sort(key=lambda row: row["window_index"])
        copy["entities"].sort(key=lambda row: row["begin"])
        return copy

    def drop(self, table: str, row: dict[str, Any]) -> None:
        self.rows[table] = [other for other in self.rows[table] if other is not row]

    def tables(self, spark) -> dict:
        return {
            t.name: spark.createDataFrame(
                [tuple(row[name] for name in t.schema.names) for row in self.rows[t.name]], t.schema
            )
            for t in TABLES
        }


def break_entities(b: Broken) -> None:
    b.add("entity end", "entity_offsets")["entities"][0]["end"] += 1
    b.add("entity text", "entity_offsets")["entities"][0]["text"] += " "
    rows = b.add("entity begin", "entity_offsets", "entities_in_windows")["entities"]
    rows[0] |= {"begin": -1, "end": 0, "text": "."}
    rows = b.add("twice", "duplicate_entities")
    b.rows["entities"].append(dict(rows["entities"][0]))
    rows["processed_notes"][0]["entities"] += 1
    for name in ("run_id", "pipeline_fingerprint", "model_fingerprint"):
        rows = b.add(f"other {name}", "entities_of_other_runs")
        rows["entities"][1][name] = b.last if name == "run_id" else "other"
    b.add("more entities", "entity_count")["processed_notes"][0]["entities"] += 1
    rows = b.add("no entities", "entity_count")
    for row in rows["entities"]:
        b.drop("entities", row)
    rows = b.add("moved", "entities_in_windows")
    rows["processed_notes"][0]["characters"] += 5
    rows["entities"][1] |= {k: rows["entities"][1][k] + 5 for k in ("begin", "end")}


def break_ledger(b: Broken) -> None:
    rows = b.add("two rows", "duplicate_ledger_rows")
    b.rows["processed_notes"].append(dict(rows["processed_notes"][0]))
    rows = b.add("no row", "entities_without_ledger", "windows_without_ledger")
    b.drop("processed_notes", rows["processed_notes"][0])
    rows = b.add("shorter", "entities_beyond_note", "windows_beyond_note")
    rows["processed_notes"][0]["characters"] -= 2
    rows = b.add("no run", "ledger_without_run")
    for row in (*rows["entities"], *rows["processed_notes"]):
        row["run_id"] = "nobody"
    rows = b.add("other pipeline", "ledger_of_other_pipeline")
    for row in (*rows["entities"], *rows["processed_notes"]):
        row["pipeline_fingerprint"] = "p9"
    for run_id, check in (("copies", "done_and_refused"), (b.last, "done_or_refused_earlier")):
        done = b.add(f"refused by {run_id}", check)["processed_notes"][0]
        refused = {name: done[name] for name in ("note_id", "text_hash", "pipeline_fingerprint")}
        why = {"row_hint": done["note_id"], "rule": "too_long", "detail": "", "at": TIME}
        b.rows["quarantined_notes"].append(refused | why | {"run_id": run_id})
    amended = b.add("refused with another text")["processed_notes"][0]
    why["row_hint"] = amended["note_id"]
    key = {"note_id": amended["note_id"], "text_hash": "other", "pipeline_fingerprint": "p1"}
    b.rows["quarantined_notes"].append(key | why | {"run_id": "copies"})


def break_windows(b: Broken) -> None:
    b.add("more windows", "window_count")["processed_notes"][0]["windows"] += 1
    rows = b.add("one number", "duplicate_windows", "windows_in_order")["note_windows"]
    rows[1]["window_index"] = 0
    rows = b.add("backwards", "windows_in_order")["note_windows"]
    rows[0]["window_index"], rows[1]["window_index"] = 1, 0
    rows = b.add("overlap", "windows_in_order")
    rows["note_windows"][1] |= {k: rows["note_windows"][1][k] - 4 for k in ("begin", "end")}
    rows["entities"][1] |= {k: rows["entities"][1][k] - 4 for k in ("begin", "end")}
    b.add("not scored", "missing_predictions")["note_windows"][0]["window_hash"] = "0"
    rows = b.add("two lengths", "window_lengths")["note_windows"]
    rows[0]["window_hash"] = rows[1]["window_hash"] = "1"
    # An older row of another model is of another text: its windows were replaced, and rightly so.
    rows = b.add("two models")
    older = rows["processed_notes"][0] | {
        "model": "fake 2",
        "run_id": "of fake 2",
        "text_hash": "older",
        "windows": 7,
        "characters": 99,
        "entities": 1,
        "processed_at": TIME - timedelta(days=90_000),
    }
    b.rows["processed_notes"].append(older)
    mark = rows["entities"][0] | {"entity_id": "x", "begin": 90, "end": 91, "text": "x"}
    b.rows["entities"].append(mark | {"model": "fake 2", "run_id": "of fake 2"})
    b.add_run("of fake 2", model="fake 2")


def break_predictions(b: Broken) -> None:
    span = {"begin": 0, "end": 1, "label": "x", "score": 0.5}
    spans = {
        "1": [[]],
        "2": [[span | {"end": 1000}]],
        "3": [[span | {"begin": -1}]],
        "4": [[span], [span | {"label": "y"}]],
        "5": [[span], [span | {"score": 0.75}]],
        "6": [[span], [span, span | {"begin": 1, "end": 2}]],
        "7": [[]],
    }
    for number, predictions in spans.items():
        for one in predictions:
            key = {"window_hash": number, "model_fingerprint": "f1"}
            row = key | {"spans": one, "wordpieces": 1, "unread_characters": 0}
            row["failure"] = "died" if number == "7" else None
            b.rows["predictions"].append(row)
    for number, check in (
        ("2", "prediction_spans"),
        ("3", "prediction_spans"),
        ("4", "contradictory_predictions"),
        ("5", None),
        ("6", "contradictory_predictions"),
        ("7", "failed_windows"),
    ):
        named_by = None if check == "failed_windows" else number
        rows = b.add(f"hash {number}", *([check] if check else []), shown=named_by)
        rows["note_windows"][0]["window_hash"] = number


def break_runs(b: Broken) -> None:
    for _ in range(2):
        b.add_run("two rows", notes=0)
    b.add_run("busy", status="running", end=None, notes=0)
    b.add_run("failed", status="failed", notes=None)
    done = b.add("of a run that did nothing", "run_counts", shown="idle")
    for row in (*done["entities"], *done["processed_notes"]):
        row["run_id"] = "idle"
    b.add_run("idle", windows=0)
    b.add_run("purged", start=TIME)
    b.expected |= {"duplicate_runs": {"two rows"}, "unfinished_runs": {"busy"}}
    b.expected["rows_gone"] = {"purged"}


def test_each_check_finds_what_was_broken_and_nothing_else(spark, made_root: Path) -> None:
    tables, _ = open_for_checks(spark, TableRoot.at(str(made_root / "root"), None))
    broken = Broken(tables)
    cases: tuple[Callable[[Broken], None], ...] = (
        break_entities,
        break_ledger,
        break_windows,
        break_predictions,
        break_runs,
    )
    for case in cases:
        case(broken)
    assert broken.expected.keys() == {check.name for check in CHECKS}
    findings = verify_tables(broken.tables(spark))
    assert {f.check.name: f.broken for f in findings} == {
        name: len(ids) for name, ids in broken.expected.items()
    }
    for finding in findings:
        assert finding.examples and set(finding.examples) <= broken.expected[finding.check.name]
        assert finding.is_violation != finding.check.warning


def test_examples_are_few_however_much_is_broken(spark) -> None:
    check = Check("odd", "numbers", "id % 2 = 1", "a number is odd", shown="id")
    (finding,) = run_checks({"numbers": spark.range(1001), "unused": spark.range(1)}, [check])
    assert (finding.looked_at, finding.broken) == (1001, 500)
    assert len(set(finding.examples)) == 5
    assert all(int(example) % 2 for example in finding.examples)


@pytest.mark.whole
def test_the_notes_are_compared_with_their_rows(spark, made_root: Path, tmp_path: Path) -> None:
    tables, _ = open_for_checks(spark, TableRoot.at(str(made_root / "root"), None))
    broken = Broken(tables)
    for row in broken.rows["entities"]:
        if row["note_id"] == "b" and row["text"] == "Warfarin":
            row["text"] = "warfarin"
        elif row["note_id"] == "d":
            row["begin"], row["end"] = row["begin"] - 1, row["end"] - 1
    broken.rows["note_windows"] = [
        row | ({"window_hash": "0"} if row["note_id"] == "e" else {})
        for row in broken.rows["note_windows"]
        if (row["note_id"], row["window_index"]) != ("c", 0)
    ]
    lines = (made_root / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    notes = {note["note_id"]: note for note in map(json.loads, lines)}
    notes["a"]["text"] = "Takes nothing."
    notes["new"] = {"note_id": "new", "text": "insulin"}
    notes["newly long"] = {"note_id": "newly long", "text": "long" * 30}
    notes["tie 1"] = {"note_id": "tie", "text": "one"}
    notes["tie 2"] = {"note_id": "tie", "text": "two"}
    changed = tmp_path / "changed.jsonl"
    changed.write_text("\n".join(map(json.dumps, notes.values())), encoding="utf-8")
    source = NoteSource(COLUMNS, path=str(changed))
    findings = verify_notes(spark, broken.tables(spark), source, KEY, 100)
    assert found_by(findings) == {
        "notes_not_done": (1, ("new",)),
        "texts_not_done": (1, ("a",)),
        "entity_texts": (2, ("b", "d")),
        "window_texts": (1, ("e",)),
        "uncovered_text": (1, ("c",)),
        "rows_not_refused": (2, ("newly long", "tie")),
    }
    assert all(finding.is_violation for finding in findings)
    assert {check.name for check in NOTE_CHECKS} == {finding.check.name for finding in findings}


@pytest.mark.whole
def test_sql_looks_at_the_same_slices(spark, made_root: Path) -> None:
    tables, _ = open_for_checks(spark, TableRoot.at(str(made_root / "root"), None))
    ledger = {row["note_id"]: row["text_hash"] for row in tables["processed_notes"].collect()}
    lines = (made_root / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [
        (note["note_id"], note["text"].replace("heparin", "Heparin"), ledger[note["note_id"]])
        for note in map(json.loads, lines)
        if note["note_id"] in ledger
    ]
    notes = spark.createDataFrame(texts, "note_id string, text string, text_hash string")
    rows = notes_with_rows(tables, notes).select("note_id", "sql_mismatches").collect()
    assert {row["note_id"]: row["sql_mismatches"] for row in rows} == dict.fromkeys(ledger, 0) | {
        "b": 1
    }


def test_a_root_without_tables_or_with_those_of_another_release_is_refused(
    spark, made_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no tables"):
        open_for_checks(spark, TableRoot.at(str(tmp_path / "nowhere"), None))
    with pytest.raises(InputError, match="no tables"):
        open_for_checks(spark, TableRoot.at(None, "no_such_schema"))
    root = tmp_path / "a root"
    shutil.copytree(made_root / "root", root)
    shutil.rmtree(root / "predictions")
    tables, missing = open_for_checks(spark, TableRoot.at(str(root), None))
    assert missing.examples == ("predictions",) and missing.is_violation
    assert tables["predictions"].isEmpty()
    older = tables["runs"].drop("entities")
    older.write.format("delta").save(str(tmp_path / "older" / "runs"))
    with pytest.raises(InputError, match=r"\(entities\): run jobs/maintain_tables.py"):
        open_for_checks(spark, TableRoot.at(str(tmp_path / "older"), None))
