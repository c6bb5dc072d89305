"""The settings of notes as the values that ``pipelines`` takes."""

from __future__ import annotations

from conf.sections import ColumnSettings, NoteSettings
from pipelines.note_columns import NoteColumns
from pipelines.note_source import NoteSource
from pipelines.schemas import NOTE_DETAILS


def note_columns(columns: ColumnSettings) -> NoteColumns:
    """Which column of a source plays which part."""
    return NoteColumns(
        note_id=columns.note_id,
        text=columns.text,
        details={name: getattr(columns, name) for name in NOTE_DETAILS},
        withdrawn=columns.withdrawn,
    )


def note_source(notes: NoteSettings) -> NoteSource:
    """The source of notes; one of path and table must be set."""
    return NoteSource(
        columns=note_columns(notes.columns),
        path=notes.path,
        table=notes.table,
        format=notes.format,
        limit=notes.limit,
    )
