"""Whether the tables of a root agree with each other: runs the checks and counts what breaks them.

One Spark action runs all checks, whatever the size of the tables. Findings hold ids and counts,
never text. This module knows neither notes (`note_verification`) nor the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.tables.definitions import TABLES
from pipelines.tables.existing_tables import find_tables, refuse_other_columns
from pipelines.tables.table_root import TableRoot
from pipelines.verification.check_views import VIEWS
from pipelines.verification.table_checks import CHECKS, Check

# At most this many rows that break a check are shown.
EXAMPLES = 5
MISSING_TABLES = Check("missing_tables", "", "", "a table of the root is not there")


@dataclass(frozen=True, slots=True)
class Finding:
    """How one check ended: the rows that it looked at, those that break it, and some of these."""

    check: Check
    looked_at: int
    broken: int
    examples: tuple[str, ...] = ()

    @property
    def is_violation(self) -> bool:
        """Whether something is certainly wrong."""
        return self.broken > 0 and not self.check.warning


def open_for_checks(spark: SparkSession, root: TableRoot) -> tuple[dict[str, DataFrame], Finding]:
    """All tables of a root, with empty ones for those missing, and a finding that names these.

    Raises:
        InputError: there are no tables, or they are of another release.
    """
    found = find_tables(spark, root)
    refuse_other_columns(found)
    missing = tuple(t.name for t in TABLES if t.name not in found)
    empty = {t.name: spark.createDataFrame([], t.schema) for t in TABLES if t.name in missing}
    return found | empty, Finding(MISSING_TABLES, len(TABLES), len(missing), missing)


def verify_tables(tables: Mapping[str, DataFrame]) -> list[Finding]:
    """Runs every check of `table_checks.CHECKS` over the tables of one root, given by name."""
    return run_checks({name: view(tables) for name, view in VIEWS.items()}, CHECKS)


def run_checks(views: Mapping[str, DataFrame], checks: Sequence[Check]) -> list[Finding]:
    """Runs checks in one action; the findings come in the order of the checks."""
    by_view = [(rows, [c for c in checks if c.view == name]) for name, rows in views.items()]
    summaries = [_summary(rows, own) for rows, own in by_view if own]
    found = {row["name"]: row for row in reduce(DataFrame.unionAll, summaries).collect()}
    rows = [found[check.name] for check in checks]
    return [
        Finding(check, row["looked_at"], row["broken"], tuple(row[3]))
        for check, row in zip(checks, rows, strict=True)
    ]


def _summary(rows: DataFrame, checks: Sequence[Check]) -> DataFrame:
    """`name, looked_at, broken, examples`, one row for each check of one view."""
    counts = [F.count(F.lit(1)).alias("looked_at")]
    results = []
    for number, check in enumerate(checks):
        broken, examples = f"broken_{number}", f"examples_{number}"
        counts.append(F.count_if(F.expr(check.broken)).alias(broken))
        counts.append(_examples(check).alias(examples))
        results.append(
            F.struct(
                F.lit(check.name).alias("name"),
                "looked_at",
                F.col(broken).alias("broken"),
                F.col(examples).alias("examples"),
            )
        )
    return rows.agg(*counts).select(F.inline(F.array(*results)))


def _examples(check: Check) -> Column:
    """Up to `EXAMPLES` ids of broken rows: hashes deal ids into shares, each gives its least id.

    A set of all broken ids would not fit into memory if everything is broken.
    """
    shown = F.coalesce(F.col(check.shown).cast("string"), F.lit("(none)"))
    share = F.pmod(F.hash(shown), F.lit(EXAMPLES))
    broken = F.expr(check.broken)
    least = (F.min(F.when(broken & (share == n), shown)) for n in range(EXAMPLES))
    return F.array_sort(F.array_compact(F.array(*least)))
