"""The declarations of columns, and what is made of them."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from udfs import arrow_schemas
from udfs.annotation.note_annotation import EntityRow
from udfs.table_columns import ENTITIES, MENTION, SOURCE_WORDS, STRING, TABLES, TEXT, Column


@pytest.mark.parametrize("table", TABLES)
def test_a_column_has_one_name_and_a_phrase(table: str) -> None:
    names = [column.name for column in TABLES[table]]
    assert len(names) == len(set(names))
    for column in TABLES[table]:
        assert column.meaning and not column.meaning.endswith("."), column.name
        assert "|" not in column.meaning, f"{column.name}: the docs are tables"


@pytest.mark.parametrize("sensitivity", [TEXT, SOURCE_WORDS])
def test_words_never_have_statistics(sensitivity) -> None:
    with pytest.raises(ValueError, match="must not have statistics"):
        Column("x", STRING, sensitivity, "words", statistics=True)


def test_text_stands_in_one_column() -> None:
    found = [
        (table, column.name)
        for table, columns in TABLES.items()
        for column in columns
        if column.sensitivity == TEXT
    ]
    assert found == [("entities", "text")]


def test_annotation_fills_what_is_declared_of_a_mention() -> None:
    declared = {column.name for column in MENTION}
    assert {field.name for field in fields(EntityRow)} == declared
    assert {field.name for field in arrow_schemas.ENTITY} == declared
    assert declared <= {column.name for column in ENTITIES}


def test_a_declaration_can_be_varied() -> None:
    [note_id] = (column for column in TABLES["quarantined_notes"] if column.name == "note_id")
    assert note_id.nullable and note_id.statistics
    assert replace(note_id, nullable=False) in TABLES["note_windows"]
