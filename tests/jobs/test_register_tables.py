"""The command that gives tables their names: its exit codes and what it prints."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs.register_tables import main
from pipelines.tables.definitions import ENTITIES, PROCESSED_NOTES
from udfs.errors import ClinspanError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--schema", "a;b"], "schema or catalog.schema"),
        (["--schema", "a", "--prefix", "x`"], "the prefix is"),
        (["--schema", "a", "--output", "nowhere"], "no tables at nowhere"),
    ],
)
def test_bad_input_ends_with_2_before_spark(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    monkeypatch.setattr("jobs.register_tables.start_session", lambda name: 1 / 0)
    assert main(["--output", str(tmp_path), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_flags_that_are_missing_end_with_2(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--schema", "a"])
    assert caught.value.code == 2
    assert "--output" in capsys.readouterr().err


@pytest.mark.whole
def test_tables_get_their_names_and_a_query_to_try(spark, tmp_path: Path, capsys) -> None:
    for table in (ENTITIES, PROCESSED_NOTES):
        empty = spark.createDataFrame([], table.schema)
        empty.write.format("delta").save(str(tmp_path / table.name))
    arguments = ["--output", str(tmp_path), "--schema", "clinspan_job", "--prefix", "p_"]
    try:
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        assert "clinspan_job.p_entities" in printed
        query = printed.split("Try, in SQL:\n")[1].strip()
        assert spark.sql(query).collect() == []
    finally:
        spark.sql("DROP SCHEMA clinspan_job CASCADE")


def test_names_that_would_end_with_the_job_are_refused(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    no_session = SimpleNamespace(getActiveSession=lambda: None)
    monkeypatch.setattr("jobs.register_tables.SparkSession", no_session)
    assert main(["--output", str(tmp_path), "--schema", "clinspan_job"]) == 2
    assert "spark.sql.catalogImplementation=hive" in capsys.readouterr().err
    assert not spark.catalog.databaseExists("clinspan_job")


@pytest.mark.parametrize(
    ("error", "words"),
    [(ClinspanError("refused"), "refused"), (RuntimeError("canary"), "RuntimeError")],
)
def test_what_fails_later_ends_with_1(
    spark, error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("jobs.register_tables.register_tables", fail)
    assert main(["--output", str(tmp_path), "--schema", "clinspan_job"]) == 1
    said = capsys.readouterr().err
    assert words in said and "canary" not in said
