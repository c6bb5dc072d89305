"""Converts the settings of notes to the values that `pipelines` takes."""

from __future__ import annotations

from pathlib import Path

from conf.setting_sections import ColumnSettings, NoteSettings
from conf.settings import SettingsError
from pipelines.schemas import NOTE_DETAILS
from pipelines.source.note_columns import NoteColumns
from pipelines.source.note_source import NoteSource


def note_columns(columns: ColumnSettings) -> NoteColumns:
    """The columns of a source by their roles."""
    return NoteColumns(
        note_id=columns.note_id,
        text=columns.text,
        details={name: getattr(columns, name) for name in NOTE_DETAILS},
        withdrawn=columns.withdrawn,
    )


def note_source(notes: NoteSettings) -> NoteSource:
    """The source of notes; one of path and table must be set.

    Raises:
        SettingsError: the list of withdrawn notes cannot be read.
    """
    listed = notes.withdrawn_list
    return NoteSource(
        columns=note_columns(notes.columns),
        path=notes.path,
        table=notes.table,
        format=notes.format,
        limit=notes.limit,
        since=notes.since,
        until=notes.until,
        withdrawn_ids=tuple(read_ids(Path(listed), "--withdrawn")) if listed else (),
        changed_only=notes.changed_only,
    )


def read_ids(path: Path, flag: str) -> list[str]:
    """The ids in a file, one a line.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        # An id may end with a blank, so only the line end is removed.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{flag} {path}: cannot be read ({type(error).__name__}); give a file of UTF-8 text"
        ) from None
    return [line for line in (line.removesuffix("\r") for line in lines) if line.strip()]
