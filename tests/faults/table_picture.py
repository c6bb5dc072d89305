"""What stands in the tables of a root, so that two roots can be compared, and how often each table
was written. Knows the tables, and nothing of what happened to them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.tables.definitions import TABLES

# What two right roots may differ in:
# - which run wrote a row, and when;
# - `new_windows`, the windows that the run itself scored: fewer where an earlier one had begun;
# - scores in their last digits, because other slices make other batches: compared by `differences`;
# - the table `runs`, which has a row for every try.
LEFT_OUT = {
    "entities": ("run_id", "processed_at", "score"),
    "processed_notes": ("run_id", "processed_at", "new_windows"),
    "quarantined_notes": ("run_id", "at"),
    "predictions": ("spans",),
}
# Measured between batches of 256 and of 4,096 word-pieces: 1.7e-6 at most.
SCORE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Picture:
    """A sha256 of each table's rows, and the scores in the order of what they belong to."""

    digests: dict[str, str]
    rows: dict[str, int]
    scores: tuple[float, ...]


def take_picture(spark: SparkSession, root: Path) -> Picture:
    """Looks at the tables of a root.

    Every row counts as often as it stands there, so a doubled one shows. What is left out, and why,
    stands at `LEFT_OUT`.
    """
    tables = {t.name: read(spark, root, t.name) for t in TABLES if t.name != "runs"}
    lines = {name: _lines(name, rows) for name, rows in tables.items()}
    scored = tables["entities"].orderBy("entity_id").select("score")
    spans = tables["predictions"].orderBy("window_hash", "model_fingerprint").select("spans.score")
    scores = [row[0] for row in scored.collect()]
    scores += [score for row in spans.collect() for score in row[0]]
    return Picture(
        digests={
            name: hashlib.sha256("\n".join(found).encode()).hexdigest()
            for name, found in lines.items()
        },
        rows={name: len(found) for name, found in lines.items()},
        scores=tuple(scores),
    )


def read(spark: SparkSession, root: Path, table: str) -> DataFrame:
    return spark.read.format("delta").load(f"{root}/{table}")


def _lines(name: str, rows: DataFrame) -> list[str]:
    """Each row as JSON, nulls too, in order."""
    kept = [column for column in sorted(rows.columns) if column not in LEFT_OUT.get(name, ())]
    if name == "predictions":
        unscored = F.transform("spans", lambda s: F.struct(s["begin"], s["end"], s["label"]))
        rows = rows.withColumn("mentions", unscored)
        kept.append("mentions")
    # Characters that JSON would escape in other ways on another Spark stand in no digest's way:
    # both roots are read by one session.
    told = rows.select(F.to_json(F.struct(*kept), {"ignoreNullFields": "false"}))
    return sorted(row[0] for row in told.collect())


def differences(one: Picture, other: Picture) -> list[str]:
    """What two roots differ in; empty where they hold the same."""
    found = [
        f"{name}: {one.rows[name]} and {other.rows[name]} rows"
        for name in one.digests
        if one.digests[name] != other.digests[name]
    ]
    if len(one.scores) != len(other.scores):
        found.append(f"{len(one.scores)} and {len(other.scores)} scores")
    elif one.scores:
        apart = max(abs(a - b) for a, b in zip(one.scores, other.scores, strict=True))
        if apart > SCORE_TOLERANCE:
            found.append(f"scores differ by {apart}")
    return found


def version(root: Path, table: str) -> int:
    """The number of a table's last commit, without Spark; -1 where there is no table."""
    commits = (root / table / "_delta_log").glob("[0-9]*.json")
    return max((int(commit.stem) for commit in commits), default=-1)


def versions(root: Path) -> dict[str, int]:
    """The number of the last commit of each table but `runs`, which every run writes to."""
    return {table.name: version(root, table.name) for table in TABLES if table.name != "runs"}
