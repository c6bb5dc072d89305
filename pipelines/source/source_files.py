"""The files of a source, and whether they change while a run reads them.

Spark lists the files once, when a source is loaded, and reads these in every scan. A file that is
written over meanwhile gives other rows, or none, without an error. So at the end of its reading a
run checks that each file still has its size and time. This module does not know what rows mean to a
run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.source.note_formats import visible_files
from pipelines.spark.error_names import error_class
from pipelines.spark.names import local_path
from udfs.errors import ClinspanError

# The column for the file of a row, as Spark listed it: a struct of its place (a URI), its size in
# bytes and its time in microseconds. Null for rows that come from no file.
FILE = "_clinspan_file"
FILE_TYPE = "struct<path: string, size: bigint, modified: bigint>"
_METADATA = "_metadata"
_GLOB = re.compile(r"[\\{}\[\]*?]")
_GONE = ("PATH_NOT_FOUND", "FILE_NOT_EXIST", "FileNotFoundException")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:/+|^/+")


class SourceChangedError(ClinspanError):
    """A file of the notes was written over or taken away while it was read (exit code 1)."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was when its source was loaded; `modified` in microseconds since 1970."""

    path: str
    size: int
    modified: int

    @property
    def name(self) -> str:
        """The name without the folder: enough to find the file, and all that a message shows."""
        return self.path.rsplit("/", 1)[-1]


def spark_path(path: str) -> str:
    """A path for Spark's readers; one that exists on this machine is not taken for a pattern."""
    place = local_path(path)
    return escape_pattern(path) if place is not None and place.exists() else path


def escape_pattern(path: str) -> str:
    """Escapes a path, so that Spark's readers do not take it for a pattern."""
    return _GLOB.sub(r"\\\g<0>", path)


def files_of(spark: SparkSession, path: str) -> list[PurePath]:
    """The files of a source, relative to it; for a pattern, whole paths without the scheme."""
    place = local_path(path)
    if place is not None and place.exists():
        return list(visible_files(place))
    root = _SCHEME.sub("", path).strip("/")
    found = [_SCHEME.sub("", row["path"]) for row in _listing(spark, path).select("path").collect()]
    return [PurePath(file.removeprefix(f"{root}/")) for file in found]


def _listing(spark: SparkSession, path: str) -> DataFrame:
    """`path, length, modificationTime` of all files of a source as they are now."""
    # Spark opens no file here, because nobody asks for the content.
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    return reader.load(spark_path(path)).drop("content")


def needs_recursion(files: Iterable[PurePath]) -> bool:
    """Whether Spark, by default, would leave out some of a folder's files.

    By default it reads the files of the folder itself, or those in partition folders (`year=2150/`)
    if all of these have the same keys. It silently skips all other files.
    """
    shapes = {
        tuple(name if equals else "" for name, equals, _ in (p.partition("=") for p in parts))
        for parts in {file.parts[:-1] for file in files}
    }
    return len(shapes) > 1 or any("" in shape for shape in shapes)


def with_file(rows: DataFrame) -> DataFrame:
    """Adds the column `FILE` to rows that Spark reads from files."""
    if _METADATA in map(str.lower, rows.columns):
        return rows  # a column `_metadata` of the source hides Spark's
    described = F.struct(
        F.col(f"{_METADATA}.file_path").alias("path"),
        F.col(f"{_METADATA}.file_size").alias("size"),
        F.unix_micros(f"{_METADATA}.file_modification_time").alias("modified"),
    )
    return rows.select("*", described.alias(FILE))


def file_at(uri: str, size: int, modified: int) -> SourceFile:
    """A file from the values of `FILE`; Spark percent-encodes its place."""
    return SourceFile(unquote(uri), size, modified)


def local_files(files: Iterable[Path]) -> tuple[SourceFile, ...]:
    """Files on this machine as they are now."""
    found = ((file, file.stat()) for file in files)
    # Spark reads the times of files in milliseconds.
    return tuple(SourceFile(str(f), s.st_size, s.st_mtime_ns // 10**6 * 1000) for f, s in found)


def refuse_changes(spark: SparkSession, source: str, files: Sequence[SourceFile]) -> None:
    """Refuses files that changed since they were listed.

    New files are no change: the next run reads them.

    Args:
        spark: the session.
        source: the path by which the files were found.
        files: the files as they were.

    Raises:
        SourceChangedError: one was written over, or is gone.
    """
    if not files:
        return
    modified = F.unix_micros("modificationTime").alias("modified")
    try:
        rows = _listing(spark, source).select("path", "length", modified).collect()
        found = [SourceFile(*row) for row in rows]
    except Exception as error:  # the folder is gone, or a file went during the listing
        if not any(word in f"{error_class(error)} {error}" for word in _GONE):
            raise
        found = []
    # Compare name, size and time: storage systems differ in how they write a place.
    now = Counter((f.name, f.size, f.modified) for f in found)
    gone = Counter((f.name, f.size, f.modified) for f in files) - now
    if gone:
        names = sorted({name for name, _, _ in gone})
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise SourceChangedError(
            f"the notes at {source} changed while they were read ({', '.join(names[:3])}{more} "
            "written over or gone): nothing of this run is in the ledger; let the writer end and "
            "run again"
        )
