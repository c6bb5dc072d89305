"""The tables of columns in docs/ are those of the declarations."""

from __future__ import annotations

import pytest

from jobs.set_up.column_docs import GENERATED, main, with_columns
from tests.support.places import REPOSITORY
from udfs.errors import InputError
from udfs.table_columns import TABLES


@pytest.mark.parametrize("name", GENERATED)
def test_the_docs_have_the_declared_columns(name: str) -> None:
    text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    assert with_columns(name, text) == text, "run `make docs`"
    assert all(f"`{column.name}`" in text for columns in TABLES.values() for column in columns)


def test_a_document_is_written_once_and_only_between_its_markers(tmp_path, capsys) -> None:
    for name, (marker, _) in GENERATED.items():
        text = f"before\n<!-- {marker}: begin -->\nREPLACED\n<!-- {marker}: end -->\nafter\n"
        (tmp_path / name).write_text(text)
    assert main(["--docs", str(tmp_path)]) == 0
    first = {name: (tmp_path / name).read_text() for name in GENERATED}
    for text in first.values():
        assert text.startswith("before\n<!--") and text.endswith("-->\nafter\n")
        assert "REPLACED" not in text and "`entities`" in text
    assert capsys.readouterr().out.count("written anew") == len(GENERATED)
    assert main(["--docs", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_text() for name in GENERATED} == first
    assert capsys.readouterr().out == ""


def test_a_document_without_markers_is_an_error() -> None:
    with pytest.raises(InputError, match=r"must hold the lines <!-- columns: begin -->"):
        with_columns("tables.md", "no markers")
