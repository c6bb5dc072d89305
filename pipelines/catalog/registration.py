"""Gives the tables of a path root names in a catalog, with views over them.

It makes names only: the files stay where they are, and the main job goes on writing to the path.
A repeat mends what changed (a root that moved, a view of an older release) and leaves the rest.
`catalog_views` has the queries of the views. This module does not know what the tables mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import SparkSession

from pipelines.catalog.catalog_views import VIEWS, View
from pipelines.spark.error_names import error_class
from pipelines.spark.names import quote
from pipelines.tables.definitions import TABLES, Table
from pipelines.tables.existing_tables import find_tables
from pipelines.tables.table_root import TableRoot, create_schema
from udfs.errors import ClinspanError, InputError

# Spark's own catalog, which Delta's wraps: it is in memory unless a metastore is configured.
SESSION_CATALOG = "spark_catalog"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
# Marks a view as ours, so that a view of somebody else's is never replaced.
MARK = "clinspan.view"
# The errors by which Delta says that the folder behind a name is missing or holds no table.
MISSING = frozenset(
    {
        "DELTA_MISSING_DELTA_TABLE",
        "DELTA_PATH_DOES_NOT_EXIST",
        "DELTA_TABLE_NOT_FOUND",
        "PATH_NOT_FOUND",
    }
)
_SCHEMA = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", re.ASCII)
_PREFIX = re.compile(r"([A-Za-z_]\w*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Registered:
    """One name: `state` is new, kept, moved (a table), or replaced (a view)."""

    name: str
    kind: str
    state: str


@dataclass(frozen=True, slots=True)
class Names:
    """The names in a schema (`schema` or `catalog.schema`), each with a prefix before it."""

    schema: str
    prefix: str = ""

    def __post_init__(self) -> None:
        """Raises `InputError` for a schema or a prefix that cannot be in such names."""
        if not _SCHEMA.fullmatch(self.schema):
            raise InputError(
                f"the schema is {self.schema!r}, but it must be schema or catalog.schema, each of "
                "ASCII letters, digits and _ and not led by a digit"
            )
        if not _PREFIX.fullmatch(self.prefix):
            raise InputError(
                f"the prefix is {self.prefix!r}, but it must be of ASCII letters, digits and _ "
                "and not led by a digit"
            )

    @property
    def sql_schema(self) -> str:
        """The schema, quoted."""
        return ".".join(quote(part) for part in self.schema.split("."))

    def plain(self, name: str) -> str:
        """The full name of a table or view, unquoted, for people."""
        return f"{self.schema}.{self.prefix}{name}"

    def sql(self, name: str) -> str:
        """The full name of a table or view, quoted."""
        return f"{self.sql_schema}.{quote(self.prefix + name)}"


def is_lasting(spark: SparkSession, names: Names) -> bool:
    """Whether what is registered outlives the session."""
    catalog, dot, _ = names.schema.partition(".")
    if (catalog if dot else spark.catalog.currentCatalog()) != SESSION_CATALOG:
        return True
    in_memory = spark.conf.get("spark.sql.catalogImplementation", "in-memory") == "in-memory"
    own = spark.conf.get(f"spark.sql.catalog.{SESSION_CATALOG}", DELTA_CATALOG) == DELTA_CATALOG
    return not (in_memory and own)


def register_tables(spark: SparkSession, path: str, names: Names) -> list[Registered]:
    """Gives the tables below a path their names, and makes the views over them.

    Args:
        spark: the session.
        path: the root that the main job writes to.
        names: the schema and the prefix; the schema is created if it is missing.

    Returns:
        what the schema now holds, tables first. A table that the root does not have is left out,
        and so are the views that read it.

    Raises:
        InputError: there are no tables, or a name is taken by something else; nothing was written.
        ClinspanError: a table cannot be read, or the catalog refused a name; the names made before
            it stay, and a repeat goes on from there.
    """
    root = TableRoot.at(path, None)
    found = find_tables(spark, root)
    places = {t: _location(spark, root.sql_name(t)) for t in TABLES if t.name in found}
    views = _possible_views(found)
    if spark.catalog.databaseExists(names.schema):
        # All names are checked before the first is written.
        table_states = {t: _table_state(spark, names, t, place) for t, place in places.items()}
        view_states = {view: _view_state(spark, names, view) for view in views}
    else:
        create_schema(spark, names.schema, "--schema")
        table_states, view_states = dict.fromkeys(places, "new"), dict.fromkeys(views, "new")
    return [
        *(_register_table(spark, root, names, *entry) for entry in table_states.items()),
        *(_create_view(spark, names, *entry) for entry in view_states.items()),
    ]


def _location(spark: SparkSession, name: str) -> str | None:
    """The place of a Delta table; None: there is none (any more); empty: of another format."""
    try:
        row = spark.sql(f"DESCRIBE DETAIL {name}").select("format", "location").first()
    except Exception as error:
        if error_class(error) in MISSING:
            return None
        raise _unreadable(name, error) from None
    return str(row["location"]) if row and row["format"] == "delta" else ""


def _possible_views(tables: Iterable[str]) -> list[View]:
    known, views = set(tables), []
    for view in VIEWS:
        if known.issuperset(view.reads):
            known.add(view.name)
            views.append(view)
    return views


def _table_state(spark: SparkSession, names: Names, table: Table, place: str | None) -> str:
    """What to do with a table's name; refuses a name that something else has."""
    name = names.sql(table.name)
    kind = _kind(spark, name)
    if kind is None:
        return "new"
    taken = f"{names.plain(table.name)} is taken by"
    mend = "give another schema or a prefix"
    if kind not in ("EXTERNAL", "GONE"):
        # Dropping a managed table would delete its rows.
        raise InputError(f"{taken} something else ({kind.lower()}): {mend}")
    here = None if kind == "GONE" else _location(spark, name)
    if here is None:
        return "moved"
    if here == place:
        return "kept"
    found, ours = set(spark.table(name).columns), set(table.schema.names)
    # A table of an older or a newer release may have fewer columns, or more.
    if here and (found <= ours or ours <= found):
        return "moved"
    raise InputError(f"{taken} a table that is not ours: {mend}, or drop it")


def _view_state(spark: SparkSession, names: Names, view: View) -> str:
    name = names.sql(view.name)
    kind = _kind(spark, name)
    if kind is None:
        return "new"
    if kind == "VIEW":
        properties = {row["key"] for row in spark.sql(f"SHOW TBLPROPERTIES {name}").collect()}
        if MARK in properties:
            return "replaced"
    raise InputError(
        f"{names.plain(view.name)} is taken by a table or view that is not ours: give another "
        "schema or a prefix, or drop it"
    )


def _kind(spark: SparkSession, name: str) -> str | None:
    """What has a name: EXTERNAL, MANAGED, VIEW, or GONE (no files any more); None: it is free."""
    try:
        return spark.catalog.getTable(name).tableType if spark.catalog.tableExists(name) else None
    except Exception as error:  # Spark 4 reads a Delta table to tell whether it exists
        if error_class(error) in MISSING:
            return "GONE"
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(
        f"{name} cannot be read ({error_class(error)}): check its place and the rights to it"
    )


def _register_table(
    spark: SparkSession, root: TableRoot, names: Names, table: Table, state: str
) -> Registered:
    name = names.sql(table.name)
    try:
        if state == "moved":
            spark.sql(f"DROP TABLE {name}")
        if state != "kept":
            spark.catalog.createTable(name, path=f"{root.path}/{table.name}", source="delta")
    except Exception as error:
        raise _refused(names.plain(table.name), error) from None
    return Registered(names.plain(table.name), "table", state)


def _create_view(spark: SparkSession, names: Names, view: View, state: str) -> Registered:
    reads = {name: names.sql(name) for name in view.reads}
    statement = (
        f"CREATE OR REPLACE VIEW {names.sql(view.name)} COMMENT '{view.comment}' "
        f"TBLPROPERTIES ('{MARK}' = '{view.name}') AS {view.query.format(**reads)}"
    )
    try:
        spark.sql(statement)
    except Exception as error:
        raise _refused(names.plain(view.name), error) from None
    return Registered(names.plain(view.name), "view", state)


def _refused(name: str, error: Exception) -> ClinspanError:
    return ClinspanError(
        f"{name} could not be made ({error_class(error)}); names before it stay. If its root was "
        "written by an older release, run jobs/extract_entities.py on it and repeat"
    )
