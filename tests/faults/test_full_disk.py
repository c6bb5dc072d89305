"""A disk that fills up while a run writes its tables, or its own shuffle and spill files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.canary import CANARY
from tests.faults.table_picture import version

pytestmark = [pytest.mark.faults, pytest.mark.model]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes all the space that is left; returns the file that does."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as out:
        for size in (2**20, 2**12):
            try:
                while out.write(bytes(size)) == size:
                    pass
            except OSError:  # no space left for so much
                continue
    return ballast


def expect_failure(laboratory, started, fault) -> None:
    """Waits for a run on a full disk: code 1, and a message without text of notes."""
    code, printed = laboratory.wait(started)
    fault.codes.append(code)
    assert code == 1, printed[-3000:]
    assert "extract_entities: error: " in printed
    assert CANARY not in printed.lower()


@pytest.mark.parametrize(("table", "fails"), [("runs", "predictions"), ("predictions", "entities")])
def test_while_tables_are_written(
    laboratory, few, fault, disk: Path, table: str, fails: str
) -> None:
    """the disk of the tables is full, then there is space again"""
    root = disk / "root"
    started = laboratory.locally(f"full-after-{table}", few.notes, root)
    laboratory.wait_until(started, lambda: version(root, table) >= 1, f"first commit of {table}")
    ballast = fill(disk)
    expect_failure(laboratory, started, fault)
    assert version(root, fails) == version(root, "processed_notes") == 0
    ballast.unlink()
    fault.codes.append(laboratory.in_process(few.notes, root))
    assert fault.codes == [1, 0]
    fault.result = laboratory.expect_right(root, few)


def test_while_rows_are_shuffled_and_spilled(laboratory, few, fault, disk: Path) -> None:
    """the disk of shuffle and spill files is full, then there is space again"""
    root = laboratory.workplace / "full-local"
    started = laboratory.locally("full-local-run", few.notes, root, local_dirs=disk)
    laboratory.wait_until(started, lambda: version(root, "runs") >= 1, "the first commit of runs")
    fill(disk)
    expect_failure(laboratory, started, fault)
    fault.codes.append(laboratory.in_process(few.notes, root))
    assert fault.codes == [1, 0]
    fault.result = laboratory.expect_right(root, few)
