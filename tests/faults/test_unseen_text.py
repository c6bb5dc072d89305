"""No text of notes but where it may stand: a canary in every line of every note, searched for in
all that a run writes, while it runs and afterwards.

By its name this file comes last, so that the logs and tables of all other faults are searched, too.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.canary import CANARY, Watch, find_canary
from tests.faults.table_picture import read

pytestmark = [pytest.mark.faults, pytest.mark.model]


def test_the_search_sees_text_wherever_it_stands(tmp_path: Path) -> None:
    log = tmp_path / "entities" / "_delta_log"
    log.mkdir(parents=True)
    rows = pa.table({"text": [f"Takes {CANARY.title()} daily."] * 9})
    for file in ("entities/part.parquet", "runs.parquet", "entities/_delta_log/1.parquet"):
        pq.write_table(rows, tmp_path / file, compression="zstd")
    (tmp_path / "stderr").write_bytes(b"\0 QZVExamab\0")
    (tmp_path / "stdout").write_text("nothing")
    assert set(find_canary(tmp_path)) == {
        "runs.parquet", "entities/_delta_log/1.parquet", "stderr"
    }  # fmt: skip


def test_without_encryption_the_search_sees_files_of_a_run(laboratory, few, tmp_path: Path) -> None:
    open_files = {"spark.io.encryption.enabled": "false", "spark.shuffle.compress": "false"}
    local_dirs = tmp_path / "local"
    local_dirs.mkdir()
    with Watch(local_dirs) as watch:
        started = laboratory.locally(
            "unencrypted", few.notes, tmp_path / "root", local_dirs=local_dirs, options=open_files
        )
        assert laboratory.wait(started)[0] == 0
    assert watch.found


def test_nothing_but_the_entity_table_holds_text(laboratory, undisturbed, fault) -> None:
    """a canary in every line of every note"""
    lot = undisturbed.lot
    entities = read(laboratory.spark, lot.root, "entities")
    found = entities.where(f"lower(text) LIKE '%{CANARY}%'").count()
    assert found > 0, "the canary is no mention, so the search proves less than it says"
    rules = {row.rule for row in read(laboratory.spark, lot.root, "quarantined_notes").collect()}
    assert rules == {"too_long", "conflicting_texts", "no_note_id", "unreadable_row"}
    # Shuffle, spill and cache files while the run was at work.
    assert undisturbed.watch.blocks > 0
    assert undisturbed.watch.found == set()
    # Logs of master, workers, executors and driver, event logs, tables, and what is left over.
    place = laboratory.workplace
    assert [*place.glob("event-logs/*")] and [*place.glob("work/*/*/*/stderr")]
    assert CANARY not in undisturbed.printed.lower()
    assert find_canary(place) == []
    fault.codes.append(0)
    fault.result = (
        f"in {found} rows of entities.text; nowhere in logs, event logs, other tables, statistics "
        f"or {undisturbed.watch.blocks:,} bytes of shuffle and spill files"
    )
