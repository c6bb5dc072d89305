"""What must change nothing: the same notes again, other sizes of batches, another order of rows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.table_picture import versions

pytestmark = [pytest.mark.faults, pytest.mark.model]


def test_three_times(laboratory, few, fault, tmp_path: Path) -> None:
    """the same notes three times"""
    root = tmp_path / "root"
    written = []
    for _ in range(3):
        fault.codes.append(laboratory.in_process(few.notes, root))
        written.append(versions(root))
    assert fault.codes == [0, 0, 0]
    # Not one commit more to any table but that of runs.
    assert written[0] == written[1] == written[2]
    assert laboratory.last_run(root).scored_windows in (0, None)
    fault.result = f"no commit after the first run; {laboratory.expect_right(root, few)}"


def test_batches_partitions_and_order(laboratory, few, fault, tmp_path: Path) -> None:
    """other batches, buffers, partitions and order of rows"""
    lines = few.notes.read_text(encoding="utf-8").splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_text("".join(lines), encoding="utf-8")
    small = ("model.tokens_per_batch=256", "model.buffer_windows=7", "run.partitions=5")
    settings = [part for setting in small for part in ("--set", setting)]
    root = tmp_path / "root"
    fault.codes.append(laboratory.in_process(shuffled, root, *settings))
    assert fault.codes == [0]
    fault.result = laboratory.expect_right(root, few)
