"""Notes and tables must lie apart, whatever way their places are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.run.source_overlap import refuse_overlap
from pipelines.tables.table_root import TableRoot
from udfs.errors import InputError


@pytest.mark.parametrize(
    ("notes", "root_path", "words"),
    [
        ("/data/notes", "/data/notes/out", "outside"),
        ("/data/notes", "/data/notes", "outside"),
        ("/data/notes/", "/data/x/../notes", "outside"),
        ("/data/y/../notes", "file:/data/notes/out/", "outside"),
        ("file:///data/root/entities", "/data/root", "made from"),
        ("/data/root/entities/part-0.parquet", "/data/root", "made from"),
        ("s3a://b/root/entities/", "s3a://b/root", "made from"),
        ("s3a://b/x/../root/runs", "s3a://b/root", "made from"),
        # patterns
        ("/data/*", "/data/out", "outside"),
        ("/*/n?tes", "/data/notes/out", "outside"),
        ("/data/{notes,more}", "/data/more", "outside"),
        ("/data/root/*/*.parquet", "/data/root", "made from"),
        ("/data/root/{ent,x}*", "/data/root", "made from"),
    ],
)
def test_notes_and_tables_must_lie_apart(notes: str, root_path: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        refuse_overlap(TableRoot.at(root_path, None), notes, None)


@pytest.mark.parametrize(
    ("notes", "root_path"),
    [
        ("/data/notes.jsonl", "/data"),
        ("/data/notes", "/data/notes2"),
        ("/data/root", "/data/root/../other"),
        ("/data/*.jsonl", "/data/out"),
        ("/data/{notes,more}/*", "/data/out"),
        ("s3a://b/root", "s3a://c/root"),
    ],
)
def test_notes_beside_the_tables_are_fine(notes: str, root_path: str) -> None:
    refuse_overlap(TableRoot.at(root_path, None), notes, None)


def test_links_lead_to_where_they_lead(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "notes")
    with pytest.raises(InputError, match="outside"):
        refuse_overlap(TableRoot.at(f"{tmp_path}/link/out", None), f"{tmp_path}/notes", None)
    # A folder that is there is meant as it stands, whatever its name would stand for.
    (tmp_path / "n*").mkdir()
    refuse_overlap(TableRoot.at(f"{tmp_path}/notes/out", None), f"{tmp_path}/n*", None)
    # Hadoop would take this for tmp_path itself, the file system takes it for the root of "far".
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "jump").symlink_to(tmp_path / "far" / "deep")
    assert TableRoot.at(f"{tmp_path}/jump/../out", None).path == f"{tmp_path}/far/out"


@pytest.mark.parametrize(
    ("schema", "table", "own"),
    [
        ("main.Clinspan", "`main`.clinspan.entities", True),
        ("main.clinspan", "CLINSPAN.runs", True),
        ("clinspan", "spark_catalog.clinspan.entities", True),
        ("default", "entities", True),
        ("main.clinspan", "main.clinspan.notes", False),
        ("main.clinspan", "other.clinspan.entities", False),
        ("clinspan", "mimic.entities", False),
        ("clinspan", "entities", False),
    ],
)
def test_a_table_of_the_schema_is_no_source(schema: str, table: str, own: bool) -> None:
    root = TableRoot.at(None, schema)
    if not own:
        refuse_overlap(root, None, table)
        return
    with pytest.raises(InputError, match="made from"):
        refuse_overlap(root, None, table)


def test_tables_of_a_catalog_are_no_tables_of_a_path() -> None:
    refuse_overlap(TableRoot.at("/data", None), None, "mimic.entities")
