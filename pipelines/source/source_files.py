"""The files of a source: what each holds, and whether they stay as they are while a run reads them.

Spark lists the files once, when a source is loaded, and reads these in every scan. A file that is
written over meanwhile gives other rows, or none, without an error, so a run looks at the end of its
reading whether each still has its size and time. It does not know what rows mean to a run.
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

# A struct: the place (as a URI), the bytes and the time (microseconds) of the file of a row, as
# Spark listed it. Null for rows that come from no file.
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
        """Without its folder: enough to find it, and all that a message says."""
        return self.path.rsplit("/", 1)[-1]


def spark_path(path: str) -> str:
    """A path for Spark's readers: what exists here is meant as it stands, not as a pattern."""
    place = local_path(path)
    return escape_pattern(path) if place is not None and place.exists() else path


def escape_pattern(path: str) -> str:
    """A path that stands for itself only, for Spark's readers."""
    return _GLOB.sub(r"\\\g<0>", path)


def files_of(spark: SparkSession, path: str) -> list[PurePath]:
    """The files of a source, relative to it; of a pattern, from their scheme on."""
    place = local_path(path)
    if place is not None and place.exists():
        return list(visible_files(place))
    root = _SCHEME.sub("", path).strip("/")
    found = [_SCHEME.sub("", row["path"]) for row in _listing(spark, path).select("path").collect()]
    return [PurePath(file.removeprefix(f"{root}/")) for file in found]


def _listing(spark: SparkSession, path: str) -> DataFrame:
    """`path, length, modificationTime` of all files of a source as they are now."""
    # Spark looks at each file, without opening it where nobody asks for its content.
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    return reader.load(spark_path(path)).drop("content")


def needs_recursion(files: Iterable[PurePath]) -> bool:
    """Whether Spark, as it reads folders by itself, would leave out some of a folder's files.

    It reads the files of the folder, or those in partition folders (`year=2150/`) if all are of
    one kind; whatever else there is it skips in silence.
    """
    shapes = {
        tuple(name if equals else "" for name, equals, _ in (p.partition("=") for p in parts))
        for parts in {file.parts[:-1] for file in files}
    }
    return len(shapes) > 1 or any("" in shape for shape in shapes)


def with_file(rows: DataFrame) -> DataFrame:
    """Adds `FILE` to rows that Spark reads from files, which have no such column."""
    if _METADATA in map(str.lower, rows.columns):
        return rows  # the source's own column hides Spark's
    described = F.struct(
        F.col(f"{_METADATA}.file_path").alias("path"),
        F.col(f"{_METADATA}.file_size").alias("size"),
        F.unix_micros(f"{_METADATA}.file_modification_time").alias("modified"),
    )
    return rows.select("*", described.alias(FILE))


def file_at(uri: str, size: int, modified: int) -> SourceFile:
    """A file from what `FILE` says of it; Spark writes places with percent signs."""
    return SourceFile(unquote(uri), size, modified)


def local_files(files: Iterable[Path]) -> tuple[SourceFile, ...]:
    """Files on this machine as they are now."""
    found = ((file, file.stat()) for file in files)
    # Spark's clock of files counts milliseconds.
    return tuple(SourceFile(str(f), s.st_size, s.st_mtime_ns // 10**6 * 1000) for f, s in found)


def refuse_changes(spark: SparkSession, source: str, files: Sequence[SourceFile]) -> None:
    """Looks whether files are as they were. New ones are no change: the next run reads them.

    Args:
        spark: the session.
        source: the path that the files were found by.
        files: as they were.

    Raises:
        SourceChangedError: one was written over, or is gone.
    """
    if not files:
        return
    modified = F.unix_micros("modificationTime").alias("modified")
    try:
        rows = _listing(spark, source).select("path", "length", modified).collect()
        found = [SourceFile(*row) for row in rows]
    except Exception as error:  # the folder is gone, or a file while it was looked at
        if not any(word in f"{error_class(error)} {error}" for word in _GONE):
            raise
        found = []
    # By name, size and time: how a place is written differs between storage systems.
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
