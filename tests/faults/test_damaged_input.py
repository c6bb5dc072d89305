"""Files of notes, or of the model, that are damaged or other than they were; then mended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.canary import CANARY, write_notes
from tests.faults.table_picture import version, versions

pytestmark = [pytest.mark.faults, pytest.mark.model]


# Rows that belong together (two of one id) stand in one file: each file is whole by itself.
_SHARES = {"c": slice(0, 3), "a": slice(3, 9), "b": slice(9, None)}
_EMPTY = {"note_id": None, "subject_id": None, "charttime": None, "text": None}


@pytest.fixture(scope="module")
def parquet(
    laboratory, make_lot: Callable, samples: Path, tmp_path_factory: pytest.TempPathFactory
):
    """Six notes and the odd ones in three Parquet files, but for what Parquet cannot hold."""
    folder = tmp_path_factory.mktemp("parquet")
    notes = folder / "notes"
    notes.mkdir()
    lines = write_notes(samples, folder / "notes.jsonl", notes=6, copies=1).read_text().splitlines()
    rows = [{**_EMPTY, **json.loads(line)} for line in lines[:-1]]
    for name, share in _SHARES.items():
        pq.write_table(pa.Table.from_pylist(rows)[share], notes / f"{name}.parquet")
    assert laboratory.in_process(notes, folder / "root") == 0
    return make_lot(notes, folder / "root")


@pytest.fixture(scope="module")
def first_day(laboratory, parquet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `notes`, all but one of the files, and `root`, what a run made of them."""
    folder = tmp_path_factory.mktemp("first-day")
    shutil.copytree(parquet.notes, folder / "notes")
    (folder / "notes" / "c.parquet").unlink()
    assert laboratory.in_process(folder / "notes", folder / "root") == 0
    return folder


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-50])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def no_parquet(file: Path) -> None:
    file.write_text(f"{CANARY}\n" * 50)


def damaged_pages(file: Path) -> None:
    """The footer is whole, the rows are not."""
    content = bytearray(file.read_bytes())
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)
    file.write_bytes(content)


def _changed(file: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(file)), file)


def missing_column(file: Path) -> None:
    _changed(file, lambda rows: rows.drop_columns(["text"]))


def renamed_column(file: Path) -> None:
    _changed(file, lambda rows: rows.rename_columns({"note_id": "id"}))


def retyped_column(file: Path) -> None:
    numbers = pa.array(range(pq.read_metadata(file).num_rows))
    _changed(file, lambda rows: rows.drop_columns(["note_id"]).append_column("note_id", numbers))


DAMAGES = (
    cut_off, empty, no_parquet, damaged_pages, missing_column, renamed_column, retyped_column
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_bad_file_on_the_second_day(
    laboratory, parquet, first_day, fault, tmp_path: Path, capfd, damage: Callable[[Path], None]
) -> None:
    """a bad Parquet file comes to good ones on the second day, and is mended"""
    notes, root = (shutil.copytree(first_day / n, tmp_path / n) for n in ("notes", "root"))
    before, runs = versions(root), version(root, "runs")
    shutil.copy(parquet.notes / "c.parquet", notes)
    damage(notes / "c.parquet")
    capfd.readouterr()
    fault.codes.append(laboratory.in_process(notes, root))
    printed = "".join(capfd.readouterr())
    assert fault.codes == [2], printed[-3000:]
    assert "c.parquet" in printed and CANARY not in printed.lower()
    assert (versions(root), version(root, "runs")) == (before, runs)
    shutil.copy(parquet.notes / "c.parquet", notes)
    fault.codes.append(laboratory.in_process(notes, root))
    assert fault.codes == [2, 0]
    fault.result = f"nothing written, then {laboratory.expect_right(root, parquet)}"


def test_bad_files_by_spark_submit(laboratory, parquet, fault, tmp_path: Path) -> None:
    """bad Parquet files among good ones on a new root, and mended"""
    notes, root = tmp_path / "notes", tmp_path / "root"
    shutil.copytree(parquet.notes, notes)
    for damage in (cut_off, empty, no_parquet):
        shutil.copy(notes / "a.parquet", notes / f"{damage.__name__}.parquet")
        damage(notes / f"{damage.__name__}.parquet")
    code, printed = laboratory.wait(laboratory.locally("bad-parquet", notes, root))
    fault.codes.append(code)
    assert code == 2, printed[-3000:]
    assert CANARY not in printed.lower()
    assert not root.exists()
    for damage in (cut_off, empty, no_parquet):
        (notes / f"{damage.__name__}.parquet").unlink()
    fault.codes.append(laboratory.in_process(notes, root))
    assert fault.codes == [2, 0]
    fault.result = f"nothing written, then {laboratory.expect_right(root, parquet)}"


def test_another_column_changes_nothing(laboratory, parquet, fault, tmp_path: Path) -> None:
    """a Parquet file with one column more"""
    notes, root = tmp_path / "notes", tmp_path / "root"
    shutil.copytree(parquet.notes, notes)
    file = notes / "b.parquet"
    more = pa.array(range(pq.read_metadata(file).num_rows))
    _changed(file, lambda rows: rows.append_column("ward", more))
    fault.codes.append(laboratory.in_process(notes, root))
    assert fault.codes == [0]
    fault.result = laboratory.expect_right(root, parquet)


def test_a_flipped_bit_in_the_model(laboratory, few, fault, tmp_path: Path) -> None:
    """one flipped bit in the weights of the model"""
    model = shutil.copytree(laboratory.model, tmp_path / "model")
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    root = tmp_path / "root"
    code, printed = laboratory.wait(
        laboratory.locally("flipped-bit", few.notes, root, "--model", model)
    )
    fault.codes.append(code)
    assert code == 2, printed[-3000:]
    assert "model.safetensors" in printed and "sha256" in printed
    assert not root.exists()
    fault.result = "refused before Spark started, nothing written"
