"""Every column of every table, declared once.

The Arrow schemas (`arrow_schemas`), the Spark schemas and Delta tables (`pipelines`), the view
`mentions` and the tables of columns in docs/tables.md and docs/security.md are made from these
declarations. A new column needs one line here and the code that fills it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import pyarrow as pa

STRING, INT, LONG, FLOAT = pa.string(), pa.int32(), pa.int64(), pa.float32()
DOUBLE, BOOLEAN, TIMESTAMP = pa.float64(), pa.bool_(), pa.timestamp("us", tz="UTC")


class Sensitivity(StrEnum):
    """What a column can tell about a patient, from most to least."""

    TEXT = "text of notes"
    SOURCE_WORDS = "words of the source"
    IDS = "ids and times"
    HASHES = "keyed hashes"
    MODEL = "what the model says"
    SIZES = "places and sizes"
    RUN = "the run"


TEXT, SOURCE_WORDS, IDS, HASHES, MODEL, SIZES, RUN = Sensitivity


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    `meaning` is one phrase for the docs. `statistics` lets Delta write the column's smallest and
    largest value into its log, in plain text; it is refused for columns that hold words of notes
    or of the source. Columns of `entities` without `in_views` are left out of the views.
    """

    name: str
    kind: pa.DataType
    sensitivity: Sensitivity
    meaning: str
    nullable: bool = False
    statistics: bool = False
    in_views: bool = True

    def __post_init__(self) -> None:
        if self.statistics and self.sensitivity in (TEXT, SOURCE_WORDS):
            raise ValueError(f"column {self.name} holds words: it must not have statistics")

    @property
    def field(self) -> pa.Field:
        """The column as an Arrow field."""
        return pa.field(self.name, self.kind, nullable=self.nullable)


def columns_named(columns: tuple[Column, ...], *names: str) -> tuple[Column, ...]:
    """Some of the columns, in the order of `names`."""
    by_name = {column.name: column for column in columns}
    return tuple(by_name[name] for name in names)


def struct_of(columns: tuple[Column, ...]) -> pa.StructType:
    """The columns as one Arrow struct."""
    return pa.struct([column.field for column in columns])


def list_of(kind: pa.DataType) -> pa.ListType:
    """A list without nulls, its element named as Spark names it."""
    return pa.list_(pa.field("element", kind, nullable=False))


def _with_statistics(column: Column) -> Column:
    return replace(column, statistics=True)


def _count(name: str, meaning: str) -> Column:
    """A count of a run; null until the run has made it."""
    return Column(name, LONG, SIZES, meaning, nullable=True)


_NOTE_ID = Column("note_id", STRING, IDS, "the note", statistics=True)
_WINDOW_HASH = Column("window_hash", STRING, HASHES, "keyed hash of its text", statistics=True)
_PIPELINE = Column(
    "pipeline_fingerprint", STRING, RUN, "digest of model, settings and rules", in_views=False
)
_MODEL = Column("model", STRING, RUN, "name of the model", statistics=True)
_MODEL_FINGERPRINT = Column(
    "model_fingerprint", STRING, RUN, "digest of the model package", in_views=False
)
_RUN_ID = Column("run_id", STRING, RUN, "the run that wrote the row")
_PROCESSED_AT = Column("processed_at", TIMESTAMP, RUN, "when that run began")
_BEGIN = Column("begin", INT, SIZES, "first character, counted in code points of the stored note")
_END = Column("end", INT, SIZES, "character after the last one")
_UNREAD = Column("unread_characters", INT, SIZES, "characters that the model could not read")
_WORDPIECES = Column("wordpieces", INT, SIZES, "word-pieces that the model read")

# What the source says of a note besides its id and text.
NOTE_DETAILS = (
    Column("subject_id", LONG, IDS, "the patient", nullable=True, statistics=True),
    Column("hadm_id", LONG, IDS, "the admission", nullable=True, statistics=True),
    Column("note_type", STRING, SOURCE_WORDS, "the source's kind of note", nullable=True),
    Column("charttime", TIMESTAMP, IDS, "when it was charted", nullable=True, statistics=True),
    Column("storetime", TIMESTAMP, IDS, "when it was stored", nullable=True, statistics=True),
)

# What annotation writes of a mention.
MENTION = (
    Column("entity_id", STRING, IDS, "digest of note, place, label and model"),
    _BEGIN,
    _END,
    Column("text", STRING, TEXT, "the mention as it stands in the note"),
    Column("label", STRING, MODEL, "the model's own label"),
    Column("entity_type", STRING, MODEL, "one vocabulary for all models", statistics=True),
    Column("score", FLOAT, MODEL, "0 to 1: how sure the model is of the label"),
)

ENTITIES = (
    *columns_named(MENTION, "entity_id"),
    _NOTE_ID,
    *columns_named(NOTE_DETAILS, "subject_id", "hadm_id", "note_type", "charttime"),
    *(column for column in MENTION if column.name != "entity_id"),
    _MODEL,
    _MODEL_FINGERPRINT,
    _PIPELINE,
    _RUN_ID,
    _PROCESSED_AT,
)

NOTE_WINDOWS = (
    _NOTE_ID,
    Column("window_index", INT, SIZES, "its number in the note, from 0"),
    _BEGIN,
    _END,
    _WINDOW_HASH,
)

# A span of a prediction: its offsets are in the window, and no annotation rule has been applied.
SPAN = columns_named(MENTION, "begin", "end", "label", "score")

PREDICTIONS = (
    _WINDOW_HASH,
    _with_statistics(_MODEL_FINGERPRINT),
    Column("spans", list_of(struct_of(SPAN)), MODEL, "offsets in the window, labels, scores"),
    _WORDPIECES,
    _UNREAD,
    # A row with a failure has no spans and no word-pieces.
    Column("failure", STRING, MODEL, "why the model has no answer", nullable=True),
)

PROCESSED_NOTES = (
    _NOTE_ID,
    _MODEL,
    Column("text_hash", STRING, HASHES, "keyed hash of the note's text"),
    _PIPELINE,
    Column("characters", INT, SIZES, "length of the note in code points"),
    _UNREAD,
    Column("windows", INT, SIZES, "windows of the note"),
    Column("new_windows", INT, SIZES, "those that this run was the first to score"),
    _WORDPIECES,
    Column("entities", INT, SIZES, "mentions found; 0 for a blank note"),
    _RUN_ID,
    _with_statistics(_PROCESSED_AT),
    *columns_named(NOTE_DETAILS, "storetime"),
)

QUARANTINED_NOTES = (
    Column("row_hint", STRING, IDS, "the note's id, or a keyed hash where a row has none"),
    Column("rule", STRING, RUN, "the rule that the row broke", statistics=True),
    Column("detail", STRING, RUN, "a sentence of ours, without text"),
    _PIPELINE,
    _RUN_ID,
    Column("at", TIMESTAMP, RUN, "when the run that refused it began", statistics=True),
    replace(_NOTE_ID, nullable=True),
    Column("text_hash", STRING, HASHES, "keyed hash of the text", nullable=True),
)

RUNS = (
    replace(_RUN_ID, meaning="the run", statistics=True),
    Column("start", TIMESTAMP, RUN, "when it began", statistics=True),
    Column("status", STRING, RUN, "running, done or failed", statistics=True),
    Column("input", STRING, RUN, "place of the notes"),
    Column("settings_digest", STRING, RUN, "digest of the settings that change results"),
    Column("code_version", STRING, RUN, "release of Clinspan"),
    replace(_MODEL, statistics=False),
    _MODEL_FINGERPRINT,
    _PIPELINE,
    Column("end", TIMESTAMP, RUN, "when it ended", nullable=True),
    Column("input_version", LONG, RUN, "version of a Delta source", nullable=True),
    Column(
        "model_source",
        STRING,
        RUN,
        "registered version of the model; null for a plain folder",
        nullable=True,
    ),
    Column("error", STRING, RUN, "class of the error that ended it", nullable=True),
    _count("rows_read", "rows of the source"),
    _count("notes", "notes among them, each counted once"),
    _count("blank_notes", "notes without text"),
    _count("quarantined_notes", "rows refused"),
    _count("repeated_rows", "rows of a note that another row replaces"),
    _count("withdrawn_notes", "rows of the source whose note is withdrawn"),
    _count("removed_notes", "notes taken out of the tables"),
    _count("notes_with_lost_details", "notes of which a detail could not be read"),
    _count("unchanged_notes", "notes that were done before"),
    _count("windows", "windows of the notes worked on"),
    _count("distinct_windows", "different texts among them"),
    _count("scored_windows", "those that no run had scored"),
    _count("wordpieces", "word-pieces of the notes worked on"),
    _count("scored_wordpieces", "those that were scored"),
    replace(_UNREAD, kind=LONG, nullable=True),
    _count("entities", "mentions written"),
    Column("seconds", DOUBLE, RUN, "how long it took", nullable=True),
    Column("inference_seconds", DOUBLE, RUN, "how long scoring took", nullable=True),
    Column("holder", STRING, RUN, "machine and process that hold the root", nullable=True),
    Column("heartbeat", TIMESTAMP, RUN, "when it last said that it lives", nullable=True),
)

TABLES = {
    "entities": ENTITIES,
    "processed_notes": PROCESSED_NOTES,
    "note_windows": NOTE_WINDOWS,
    "quarantined_notes": QUARANTINED_NOTES,
    "predictions": PREDICTIONS,
    "runs": RUNS,
}
