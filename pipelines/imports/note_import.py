"""Files of notes → a Delta table of notes, with every row accounted for before it is written.

Owns the flow, its checks and its figures. Nothing is written unless the counter and the reader of
the files saw the same rows and the same bytes. This module knows neither formats
(`import_records`) nor how a table is made (`import_tables`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from pipelines.imports.import_records import (
    NoteFiles,
    Seen,
    column_types,
    count_files,
    judge,
    look,
    read_files,
    typed_columns,
)
from pipelines.imports.import_tables import (
    REJECTED,
    REJECTED_SHAPE,
    ImportTarget,
    TableShape,
    lay_out,
    refuse_target,
    write_table,
)
from pipelines.progress import Progress
from pipelines.source.csv_source import broken_message
from pipelines.source.note_columns import NoteColumns, map_columns
from pipelines.spark.caching import kept
from pipelines.spark.names import quote
from pipelines.spark.slots import task_slots
from udfs.errors import ClinspanError, InputError
from udfs.reading.csv_records import FATAL

# Content of one file of the table; clinical text of this size takes about 45 MB on disk.
BYTES_PER_FILE = 128_000_000
# Smaller files would cost more to open than reading them in parallel saves.
LEAST_BYTES_PER_FILE = 4_000_000


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """Everything that an import needs, as values."""

    notes: NoteFiles
    columns: NoteColumns
    target: ImportTarget
    overwrite: bool = False
    max_rejected_fraction: float = 0.05
    bytes_per_file: int = BYTES_PER_FILE


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What an import did; the `rows` of the files are `written` plus all `rejected`.

    `unreadable` counts values that became null because they do not fit their column's type. Of the
    written notes, `without_charttime` have no time in the first column that may hold it, and
    `without_time` in none of these columns.
    """

    rows: int
    written: int
    rejected: tuple[tuple[str, int], ...]
    unreadable: tuple[tuple[str, int], ...]
    withdrawn: int
    blank: int
    without_charttime: int
    without_time: int
    characters: int
    files: int


def import_notes(spark: SparkSession, plan: ImportPlan, progress: Progress) -> ImportRecord:
    """Reads files of notes, checks that all of them arrived, and writes the tables.

    Raises:
        InputError: the files or the place cannot be used; nothing was written.
        ClinspanError: the write failed, or the table does not hold what was read.
    """
    _check_header(plan.notes.header, plan.columns)
    types = column_types(plan.notes.header, plan.columns)
    shape, typed = _shape(plan, types), typed_columns(types)
    refuse_target(spark, plan.target, shape, plan.overwrite)
    progress.step("counting rows")
    rows, size = count_files(plan.notes)
    if not rows:
        raise InputError("the files hold no notes: at least one must be there")
    by_slots = min(task_slots(spark), size // LEAST_BYTES_PER_FILE)
    files = max(1, by_slots, -(-size // plan.bytes_per_file))
    records = judge(read_files(spark, plan.notes), typed, plan.columns.note_id)
    progress.step("reading")
    # Cache the records, so that what is checked is what is written, and files are read once.
    with kept(records.repartition(files, "file", "row")) as judged:
        seen = look(judged, plan.notes.header, typed, plan.columns.text)
        _refuse_broken(judged, seen)
        _check(seen, rows, size, plan.max_rejected_fraction)
        progress.step("writing")
        # Refused rows first: where there is a table of notes, the rows that it lacks are known.
        refused = judged.where("reason IS NOT NULL").select(*REJECTED_SHAPE.names).repartition(1)
        write_table(spark, refused, plan.target, REJECTED_SHAPE, REJECTED)
        notes = judged.where("reason IS NULL").select(
            *(typed[name.lower()].alias(name) for name in plan.notes.header)
        )
        write_table(spark, lay_out(notes, files, _keys(plan)), plan.target, shape)
    progress.step("checking what was written")
    return _verified(spark, plan, seen, rows)


def _check_header(header: Sequence[str], columns: NoteColumns) -> None:
    for part, name in (("note_id", columns.note_id), ("text", columns.text)):
        if not _present(header, [name]):
            raise InputError(
                f"the notes have no column {name!r} for the {part}; they have: "
                f"{', '.join(header)}. Choose a --preset, or --set notes.columns.{part}=NAME"
            )


def _refuse_broken(judged: DataFrame, seen: Seen) -> None:
    if not any(reason in seen.rows for reason in FATAL):
        return
    row = judged.where(F.col("reason").isin(*FATAL)).first()
    if row is not None:
        raise InputError(broken_message(row["file"], row["row"], row["line"], row["detail"]))


def _check(seen: Seen, rows: int, size: int, allowed: float) -> None:
    found = sum(seen.rows.values())
    if (found, seen.size) != (rows, size):
        raise InputError(
            f"the files hold {rows:,} rows with {size:,} bytes of content by their quotes and line "
            f"ends, but {found:,} rows with {seen.size:,} bytes could be read; nothing was "
            'written. Is a quote outside of "…", or did a file change meanwhile?'
        )
    if rows - seen.good > allowed * rows:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in seen.rejected)
        raise InputError(
            f"{rows - seen.good:,} of {rows:,} rows cannot be read ({reasons}), more than "
            f"--max-rejected {allowed} allows; nothing was written. With --max-rejected 1 the "
            "others are written, and a table says which rows these are"
        )


def _shape(plan: ImportPlan, types: Mapping[str, T.DataType]) -> TableShape:
    """The shape of the table; ids and times have statistics: queried often, and without text."""
    note_id, patients, stays, charted, stored = (
        _present(plan.notes.header, names)
        for names in (
            [plan.columns.note_id],
            *(plan.columns.details.get(n, ()) for n in ("subject_id", "hadm_id")),
            *(plan.columns.details.get(n, ()) for n in ("charttime", "storetime")),
        )
    )
    named = dict.fromkeys([*note_id, *patients, *stays, *charted, *stored])
    statistics = (name for name in named if name.lower() != plan.columns.text.lower())
    return TableShape(
        columns=tuple((name, kind.simpleString()) for name, kind in types.items()),
        statistics=tuple(statistics),
        clusters=tuple([*patients[:1], *[*stored, *charted][:1]] or note_id),
    )


def _keys(plan: ImportPlan) -> list[Column]:
    """The keys by which rows are laid out: patient and time if there are any, else the id."""
    header, details = plan.notes.header, plan.columns.details
    patients = _present(header, details.get("subject_id", ()))[:1]
    times = _present(header, (*details.get("storetime", ()), *details.get("charttime", ())))
    time = [F.coalesce(*(_col(name).cast("timestamp") for name in times))] if times else []
    return [*map(_col, patients), *time] or [_col(plan.columns.note_id)]


def _present(header: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that the header has, spelt as in the header."""
    spelt = {name.lower(): name for name in header}
    return [spelt[name.lower()] for name in names if name.lower() in spelt]


def _col(name: str) -> Column:
    return F.col(quote(name))


def _verified(spark: SparkSession, plan: ImportPlan, seen: Seen, rows: int) -> ImportRecord:
    """Reads the written table back as the main job would, and returns its figures."""
    table = spark.table(plan.target.sql_name())
    first = _present(plan.notes.header, plan.columns.details.get("charttime", ()))[:1]
    lacks_first = _col(first[0]).isNull() if first else F.lit(True)
    untimed = map_columns(table.where(lacks_first), plan.columns)
    notes = map_columns(table, plan.columns)
    found = notes.agg(
        F.count(F.lit(1)).alias("written"),
        F.coalesce(F.sum(F.octet_length("text")), F.lit(0)).alias("text_bytes"),
        F.coalesce(F.sum(F.length("text")), F.lit(0)).alias("characters"),
        F.count_if("withdrawn").alias("withdrawn"),
        F.count_if(~F.coalesce(F.col("text").rlike(r"\S"), F.lit(False))).alias("blank"),
        F.count_if(F.col("charttime").isNull()).alias("without_time"),
    ).first()
    files = spark.sql(f"DESCRIBE DETAIL {plan.target.sql_name()}").first()
    if found is None or files is None:
        raise ClinspanError(f"{plan.target.describe()} cannot be read back: import again")
    if (found["written"], found["text_bytes"]) != (seen.good, seen.text_bytes):
        raise ClinspanError(
            f"{plan.target.describe()} holds {found['written']:,} notes of "
            f"{found['text_bytes']:,} bytes, but {seen.good:,} of {seen.text_bytes:,} were read: "
            "another run may have written to it; import again with --overwrite"
        )
    return ImportRecord(
        rows=rows,
        written=found["written"],
        rejected=seen.rejected,
        unreadable=seen.unreadable,
        withdrawn=found["withdrawn"],
        blank=found["blank"],
        without_charttime=untimed.count(),
        without_time=found["without_time"],
        characters=found["characters"],
        files=files["numFiles"],
    )
