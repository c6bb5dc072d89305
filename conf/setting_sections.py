"""The sections of the settings: each key's type, its rule in words and an example.

Owns: which values are possible. Defaults are in `defaults.yaml` only, so every field here is
required. Does not know where values come from, nor Spark, nor what exists in storage.
"""

import os
import re
import unicodedata
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from conf.faults import RULE
from conf.shipped_model import PROJECT_ROOT

MAX_OFFSET = 2**31 - 1  # `begin` and `end` are 32-bit columns
REGISTRY = "models:/"  # MLflow's form: models:/NAME@ALIAS, models:/NAME/VERSION
PLACES_MAY_BE_MISSING = "places_may_be_missing"  # a key of the validation context


_NOT_IN_A_LINE = {"Cc", "Zl", "Zp"}  # control characters, line and paragraph separators


def _one_line(text: str) -> str:
    if not text.strip() or any(unicodedata.category(one) in _NOT_IN_A_LINE for one in text):
        raise ValueError  # the words are the field's description
    return text


def _names(value: object) -> object:
    """A name, a list of names or null → a tuple of names."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError
    return names


def _model_place(value: object) -> object:
    """The folder as given if it exists, else that folder below the project root.

    The project root is a checkout or the place of the installed package. An address in the
    registry (`models:/…`) stays as it is: the job finds its folder.
    """
    if not isinstance(value, str | Path) or not str(value).strip():
        return None
    if str(value).startswith(REGISTRY):
        return str(value)
    given = Path(os.path.expanduser(value))  # Path.expanduser raises on an unknown user
    return str(given.absolute() if given.exists() else PROJECT_ROOT / given)


def _key_file(value: object) -> object:
    """Refuses the key itself where its file is asked for: messages would show it as a file name."""
    if not isinstance(value, str | Path) or re.fullmatch(r"\s*([0-9a-fA-F]{32,})?\s*", str(value)):
        return None
    return Path(os.path.expanduser(value))


def _rule(words: str, example: object, **limits: Any) -> Any:
    return Field(description=words, examples=[example], **limits)


def _exactly_one(
    last: str | None, first_key: str, last_key: str, info: ValidationInfo, mend: str
) -> str | None:
    """Checks that exactly one of two exclusive keys is set.

    It validates the later key, because only then are both values known.
    """
    first_name = first_key.rsplit(".", 1)[-1]
    if first_name not in info.data:  # that key is wrong itself, which is reported already
        return last
    set_count = sum(value is not None for value in (info.data[first_name], last))
    may_be_missing = bool(info.context and info.context.get(PLACES_MAY_BE_MISSING))
    if set_count == 1 or (set_count == 0 and may_be_missing):
        return last
    found = "both are" if set_count else "neither is"
    words = f"exactly one of {first_key} and {last_key} must be set, but {found}; {mend}"
    raise PydanticCustomError(RULE, words)


def _moment(value: object) -> object:
    """A date or time in any form of YAML or ISO 8601 → text in UTC, as the tables write it."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError  # the words are the field's description
    if value.tzinfo is not None:
        value = value.astimezone(UTC)
    return value.strftime("%Y-%m-%d %H:%M:%S")


Text = Annotated[str, AfterValidator(_one_line)]
Moment = Annotated[str, BeforeValidator(_moment)]
Location = Annotated[Text, AfterValidator(os.path.expanduser)]
Columns = Annotated[tuple[Text, ...], BeforeValidator(_names), AfterValidator(_distinct)]
Labels = Annotated[
    tuple[Text, ...],
    Field(min_length=1),
    BeforeValidator(_names),
    AfterValidator(_distinct),
    AfterValidator(lambda labels: tuple(sorted(labels))),
]


class Section(BaseModel):
    """A group of settings: frozen, strictly typed and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_COLUMNS = "a column name, a list of different ones (the first that is not null counts), or null"


class ColumnSettings(Section):
    """Which column of the source plays which part. An empty tuple means that it has none."""

    note_id: Text = _rule("the name of one column", "note_id")
    text: Text = _rule("the name of one column", "text")
    subject_id: Columns = _rule(_COLUMNS, "subject_id")
    hadm_id: Columns = _rule(_COLUMNS, "hadm_id")
    note_type: Columns = _rule(_COLUMNS, "note_type")
    charttime: Columns = _rule(_COLUMNS, ["CHARTTIME", "CHARTDATE"])
    storetime: Columns = _rule(_COLUMNS, "storetime")
    withdrawn: Text | None = _rule("the name of one column, or null", "ISERROR")

    @field_validator("text")
    @classmethod
    def _text_is_not_the_id(cls, text: str, info: ValidationInfo) -> str:
        if text == info.data.get("note_id"):
            words = "must be another column than notes.columns.note_id; name the one with the text"
            raise PydanticCustomError(RULE, words)
        return text


_MOMENT = "a date or a time (UTC) as YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, or null"
# Settings that make a run read only a part of its source.
_PARTS = ("limit", "since", "until")


class NoteSettings(Section):
    """Where notes come from and how they look. Exactly one of `path` and `table` is set."""

    path: Location | None = _rule("a path or URI of one line, or null", "data/notes.parquet")
    table: Text | None = _rule(
        "a table as table, schema.table or catalog.schema.table", "mimic.notes"
    )
    format: Literal["auto", "parquet", "delta", "json", "csv"] = _rule(
        "one of auto, parquet, delta, json, csv", "parquet"
    )
    columns: ColumnSettings
    limit: int | None = _rule("a whole number of at least 1, or null for every note", 1000, ge=1)
    since: Moment | None = _rule(_MOMENT, "2026-11-22")
    until: Moment | None = _rule(_MOMENT, "2026-11-23 06:00:00")
    withdrawn_list: Location | None = _rule("the path of a file of note ids, or null", "gone.txt")
    changed_only: bool = _rule("true or false", True)

    @field_validator("until")
    @classmethod
    def _check_times(cls, until: str | None, info: ValidationInfo) -> str | None:
        since = info.data.get("since")
        if since is not None and until is not None and until <= since:
            words = f"must be later than notes.since {since}; give a later time, or leave one out"
            raise PydanticCustomError(RULE, words)
        return until

    @field_validator("changed_only")
    @classmethod
    def _check_changed_only(cls, changed_only: bool, info: ValidationInfo) -> bool:
        if changed_only and (also := [n for n in _PARTS if info.data.get(n) is not None]):
            words = (
                f"goes on from where the last run ended, so it takes no notes.{also[0]} beside it; "
                "leave one of them out"
            )
            raise PydanticCustomError(RULE, words)
        return changed_only

    @field_validator("table")
    @classmethod
    def _check_table(cls, table: str | None, info: ValidationInfo) -> str | None:
        if table is not None and not re.fullmatch(r"(\w+|`[^`]+`)(\.(\w+|`[^`]+`)){0,2}", table):
            raise ValueError
        mend = "give --notes PATH or --notes-table NAME"
        return _exactly_one(table, "notes.path", "notes.table", info, mend)


class OutputSettings(Section):
    """Where the tables go. Exactly one of `path` and `schema` is set."""

    path: Location | None = _rule("a path or URI of one line, or null", "entities-root")
    schema_name: Text | None = _rule(  # `schema` is taken by pydantic.BaseModel
        "schema or catalog.schema, each of ASCII letters, digits and _ and not led by a digit",
        "main.clinspan",
        alias="schema",
    )

    @field_validator("schema_name")
    @classmethod
    def _check_schema(cls, schema: str | None, info: ValidationInfo) -> str | None:
        if schema is not None and not re.fullmatch(
            r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", schema, re.ASCII
        ):
            raise ValueError
        mend = "give --output PATH or --output-schema NAME"
        return _exactly_one(schema, "output.path", "output.schema", info, mend)


class ModelSettings(Section):
    """Which model package runs, and how it is run."""

    folder: Annotated[str, BeforeValidator(_model_place)] = _rule(
        "the folder of a model package, or models:/NAME@ALIAS or models:/NAME/VERSION",
        "build/my-model",
    )
    engine: Literal["torch", "spark_nlp"] = _rule("one of torch, spark_nlp", "spark_nlp")
    device: Literal["auto", "cpu", "cuda"] = _rule("one of auto, cpu, cuda", "cpu")
    precision: Literal["auto", "float32", "bfloat16"] = _rule(
        "one of auto, float32, bfloat16", "float32"
    )
    tokens_per_batch: int = _rule("a whole number of at least 1", 4096, ge=1)
    buffer_windows: int = _rule("a whole number of at least 1", 4096, ge=1)
    hang_seconds: float = _rule("a number of seconds above 0", 120, gt=0)
    distribute: Literal["auto", "in_place", "ship"] = _rule("one of auto, in_place, ship", "ship")


class EntitySettings(Section):
    """Which entities are kept."""

    labels: Labels | None = _rule(
        "a list of one or more different labels, or null for all", ["Chemical"]
    )
    min_score: float = _rule("a number from 0 to 1", 0.5, ge=0, le=1)


class RunSettings(Section):
    """How a run works and when it counts as failed."""

    app_name: Text = _rule("one line of text", "clinspan-extract")
    partitions: Literal["auto"] | Annotated[int, Field(ge=1)] = _rule(
        "auto or a whole number of at least 1", 8
    )
    slice_seconds: float = _rule("a number of seconds above 0", 30, gt=0)
    trigger: Literal["once", "available-now"] = _rule("one of once, available-now", "available-now")
    checkpoint: Location | None = _rule("a path or URI of one line, or null", "checkpoints")
    wait_seconds: float = _rule("a number of seconds, at least 0", 600, ge=0)
    max_quarantined_fraction: float = _rule("a fraction from 0 to 1", 0.05, ge=0, le=1)
    show_entities: int = _rule("a whole number of at least 0 (0 shows none)", 20, ge=0)
    plan: Literal["none", "only", "first"] = _rule("one of none, only, first", "first")
    price_per_hour: float | None = _rule("a price above 0, or null", 1.5, gt=0)
    max_note_characters: int = _rule(
        f"a whole number from 1 to {MAX_OFFSET} (offsets are 32-bit)",
        20_000_000,
        ge=1,
        le=MAX_OFFSET,
    )

    @field_validator("plan")
    @classmethod
    def _plan_is_of_one_run(cls, plan: str, info: ValidationInfo) -> str:
        if plan != "none" and info.data.get("trigger") == "available-now":
            words = (
                "must be none where run.trigger is available-now: a stream's runs are not known "
                "before; leave one of them out"
            )
            raise PydanticCustomError(RULE, words)
        return plan


class SecuritySettings(Section):
    """Where the key of all hashes of text lies; never the key itself."""

    hash_key_file: Annotated[Path, BeforeValidator(_key_file)] = _rule(
        "the path of the file that holds the key, never the key itself",
        "~/.config/clinspan/hash_key",
    )
