r"""Put the tables of a root, and views over them, into a catalog, so that SQL finds them by name.

    spark-submit --conf spark.sql.catalogImplementation=hive jobs/register_tables.py \
        --output ROOT --schema clinspan

Owns the command line and the exit code: 0 done, 1 failed (a repeat continues), 2 bad settings or
input, nothing written. The files stay where they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pyspark.sql import SparkSession
from rich.table import Table

from jobs.command_line.exit_codes import DONE, exit_code
from jobs.display.show_run import console
from jobs.wiring.start_session import start_session
from pipelines.catalog.registration import Names, Registered, is_lasting, register_tables
from pipelines.spark.names import local_path
from udfs.errors import InputError

APP_NAME = "clinspan-register-tables"
JOB = "register_tables"


def build_parser() -> argparse.ArgumentParser:
    """The flags; abbreviations are off, so that a new flag cannot change an old command."""
    parser = argparse.ArgumentParser(
        description="Put the tables of a root, and views over them, into a catalog. "
        "A repeat mends names whose root moved.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--output", metavar="PATH", required=True, help="the folder that holds the tables")
    add("--schema", metavar="NAME", required=True, help="schema or catalog.schema; made if missing")
    add("--prefix", metavar="P", default="", help="stands before each table and view (default: '')")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _register(arguments.output, arguments.schema, arguments.prefix))


def _register(root: str, schema: str, prefix: str) -> int:
    names = Names(schema, prefix)
    place = local_path(root)
    if place is not None and not place.is_dir():
        raise InputError(f"no tables at {root}: it is not a folder; check --output")
    # A session that was open before, as in a notebook, outlives this job: there a catalog in memory
    # is of use.
    ends_with_us = SparkSession.getActiveSession() is None
    spark = start_session(APP_NAME)
    if ends_with_us and not is_lasting(spark, names):
        raise InputError(
            "the catalog of this Spark is in memory and ends with the job: repeat with "
            "spark-submit --conf spark.sql.catalogImplementation=hive (and a hive-site.xml "
            "that names your metastore), or give --schema CATALOG.SCHEMA of a lasting catalog"
        )
    _show(register_tables(spark, root, names), names)
    return DONE


def _show(registered: Sequence[Registered], names: Names) -> None:
    table = Table(title=f"Schema {names.schema}")
    for column in ("name", "what", "state"):
        table.add_column(column)
    for entry in registered:
        table.add_row(entry.name, entry.kind, entry.state)
    console.print(table)
    if any(entry.name == names.plain("mention_counts") for entry in registered):
        query = f"SELECT * FROM {names.sql('mention_counts')} ORDER BY notes DESC LIMIT 20"
        console.print(f"Try, in SQL:\n  {query}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
