"""verify_tables, purge_notes and maintain_tables as a user starts them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jobs import maintain_tables, purge_notes, release_notes, verify_tables
from jobs.command_line.exit_codes import exit_code
from pipelines.upkeep.note_purge import Purge, Remains
from pipelines.upkeep.table_maintenance import Retention, TableSize
from pipelines.upkeep.table_upgrade import UpgradeStep
from pipelines.verification.table_checks import CHECKS
from pipelines.verification.table_verification import Finding
from udfs.errors import ClinspanError, RootBusyError

KEY = "6b" * 32  # what made_root was made with


@pytest.fixture
def root(made_root: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(made_root / "root", tmp_path / "root"))


@pytest.mark.parametrize(
    ("main", "arguments", "words"),
    [
        (purge_notes.main, [], "nothing to remove"),
        (purge_notes.main, ["--note-ids", "no-such-file"], "FileNotFoundError"),
        (verify_tables.main, ["--notes", "x", "--set", "notes.limit=0"], "notes.limit"),
        (verify_tables.main, ["--notes", "x"], "must be that of the runs"),
    ],
)
def test_bad_settings_end_with_2_before_spark(
    main, arguments: list[str], words: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.delenv("CLINSPAN_HASH_KEY", raising=False)
    monkeypatch.setenv("CLINSPAN_HASH_KEY_FILE", str(tmp_path / "key"))
    for module in (purge_notes, verify_tables):
        monkeypatch.setattr(module, "start_session", None)
    assert main(["--output", str(tmp_path), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (verify_tables.main, []),
        (purge_notes.main, ["--output", "a", "--output-schema", "b"]),
        (maintain_tables.main, ["--output", "a", "--retain-hours", "-1"]),
        (maintain_tables.main, ["--output", "a", "--retain", "1"]),
    ],
)
def test_bad_flags_end_with_2(main, arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_ids_come_from_flags_and_files(tmp_path: Path) -> None:
    notes, subjects = tmp_path / "notes", tmp_path / "subjects"
    notes.write_bytes("\ufeffn 1 \r\n\r\nnötig\n".encode())
    subjects.write_text("7\n 8\n")
    arguments = ["--output", "x", "--note-id", "n0", "--note-ids", str(notes)]
    arguments += ["--subject-id", "6", "--subject-ids", str(subjects)]
    request = purge_notes.read_request(purge_notes.build_parser().parse_args(arguments))
    assert request.note_ids == ("n0", "n 1 ", "nötig")
    assert request.subject_ids == (6, 7, 8)


def test_an_id_that_is_no_number_is_not_quoted(tmp_path: Path, capsys) -> None:
    subjects = tmp_path / "subjects"
    subjects.write_text("7\nJane Canary\n")
    assert purge_notes.main(["--output", "x", "--subject-ids", str(subjects)]) == 2
    said = capsys.readouterr().err
    assert "id 2 is no whole number" in said and "Canary" not in said


@pytest.mark.parametrize("job", [verify_tables, maintain_tables, purge_notes, release_notes])
def test_a_place_without_tables_ends_with_2(spark, job, tmp_path: Path, capsys) -> None:
    more = ["--note-id", "a"] if job is purge_notes else []
    assert job.main(["--output", str(tmp_path), *more]) == 2
    assert "no tables at" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.whole
def test_verify_tells_ids_and_what_is_wrong(
    spark, root: str, made_root: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("CLINSPAN_HASH_KEY", KEY)
    notes = ["--notes", str(made_root / "notes.jsonl"), "--set", "run.max_note_characters=100"]
    assert verify_tables.main(["--output", root, *notes]) == 0
    assert "All 33 checks hold" in capsys.readouterr().out

    by_name = {check.name: check for check in CHECKS}
    warning = Finding(by_name["rows_gone"], 7, 1, ("r",))
    monkeypatch.setattr(verify_tables, "verify_tables", lambda tables: [warning])
    assert verify_tables.main(["--output", root]) == 0
    assert "warning: rows_gone: of what the latest" in capsys.readouterr().out
    wrong = Finding(by_name["entity_count"], 7, 2, ("[b]", "d"))
    monkeypatch.setattr(verify_tables, "verify_tables", lambda tables: [warning, wrong])
    assert verify_tables.main(["--output", root]) == 5
    said = capsys.readouterr().out
    assert f"violation: entity_count: {wrong.check.says}; such as [b], d\n" in said
    assert "1 of 3 checks are broken" in said


@pytest.mark.whole
def test_purge_tells_counts_and_what_remains(
    spark, root: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    ids = tmp_path / "ids"
    ids.write_text("2\n")
    arguments = ["--output", root, "--subject-ids", str(ids)]
    assert purge_notes.main([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "Would be removed" in said and "What remains" not in said
    assert "repeat with --notes PATH" in said

    found = Purge(rows={"entities": 1234}, notes=2, unknown_ids=3, unused_predictions=4)
    monkeypatch.setattr(purge_notes, "purge_notes", lambda *given: found)
    monkeypatch.setattr(purge_notes, "find_remains", lambda spark, root: [Remains("t", 2, 3)])
    monkeypatch.setattr(purge_notes, "remove_remains", lambda spark, root: [Remains("t", 0, 1)])
    assert purge_notes.main(arguments) == 0
    said = capsys.readouterr().out
    assert "1,234" in said and "3 of the note ids stand in no table" in said
    assert "4 predictions belong to no window" in said
    assert "2 notes: as long as the source holds them" in said
    assert "Old files, among them change data" in said
    found = Purge(rows={"entities": 0}, notes=0, unknown_ids=0, unused_predictions=0)
    assert purge_notes.main([*arguments, "--vacuum"]) == 0
    said = capsys.readouterr().out
    assert "Nothing of these notes stands in any table" in said
    assert "repeat with --vacuum tomorrow" in said and "Old files" not in said


@pytest.mark.whole
def test_release_tells_what_left_quarantine(spark, root: str, capsys) -> None:
    assert release_notes.main(["--output", root, "--rule", "conflicting_texts"]) == 0
    assert "Nothing was in quarantine" in capsys.readouterr().out
    assert release_notes.main(["--output", root]) == 0
    said = capsys.readouterr().out
    assert "too_long" in said and "Nothing" not in said
    assert spark.read.format("delta").load(f"{root}/quarantined_notes").isEmpty()


@pytest.mark.whole
def test_maintain_does_its_steps_in_order(spark, root: str, monkeypatch, capsys) -> None:
    assert maintain_tables.main(["--output", root, "--upgrade-only"]) == 0
    assert capsys.readouterr().out == "The tables are those of this release\n"

    done: list[tuple] = []
    step = UpgradeStep("runs", "adds the columns x", "")
    for name, result in (
        ("upgrade_tables", [step]),
        ("drop_predictions", 1234),
        ("optimize_tables", [(TableSize("runs", 9, 5000), TableSize("runs", 1, 800))]),
        ("vacuum_tables", None),
    ):

        def record(spark, root, *more, name=name, result=result):
            done.append((name, *more))
            return result

        monkeypatch.setattr(maintain_tables, name, record)
    assert maintain_tables.main(["--output", root]) == 0
    said = capsys.readouterr().out
    assert "upgrade of runs: adds the columns x" in said and "5,000 → 800" in said
    assert done == [("upgrade_tables",), ("optimize_tables",), ("vacuum_tables", 168)]
    done.clear()
    arguments = ["--drop-unused-predictions", "--retain-hours", "24"]
    assert maintain_tables.main(["--output", root, *arguments]) == 0
    assert "1,234 predictions dropped" in capsys.readouterr().out
    assert done == [
        ("upgrade_tables",),
        ("drop_predictions", Retention(unused=True)),
        ("optimize_tables",),
        ("vacuum_tables", 24),
    ]


def test_errors_have_their_exit_codes(capsys) -> None:
    def fail(error: Exception) -> int:
        def work() -> int:
            raise error

        return exit_code("job", work)

    assert fail(RootBusyError("another run")) == 4
    assert fail(ClinspanError("no")) == 1
    assert fail(ValueError("canary")) == 1
    said = capsys.readouterr().err
    assert "ValueError; what is committed stays" in said and "canary" not in said
    assert fail(RuntimeError("canary: No space left on device")) == 1
    said = capsys.readouterr().err
    assert "a disk is full" in said and "canary" not in said
