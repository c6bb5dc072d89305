"""The 1,641 shared notes through the whole job with the shipped model, in every shape they come in.

Long (each run scores 350,000 word-pieces), so it stands under `make test-slow`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.extract_entities import main
from tests.support.places import SHIPPED

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.model]

COLUMNS = ("note_id", "begin", "end", "text", "label", "entity_type")


@pytest.fixture(autouse=True)
def hash_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLINSPAN_HASH_KEY", "cd" * 32)


def extract(spark, notes: Path, root: Path, *more: str) -> DataFrame:
    assert main(["--notes", str(notes), "--output", str(root), *more]) == 0
    return spark.read.format("delta").load(f"{root}/entities")


def keys(entities: DataFrame) -> set[tuple]:
    return {tuple(row) for row in entities.select(*COLUMNS).collect()}


@pytest.fixture(scope="module")
def as_shared(spark, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a run over the notes as they are: JSON Lines."""
    root = tmp_path_factory.mktemp("shared") / "root"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINSPAN_HASH_KEY", "cd" * 32)
        extract(spark, shared_data / "notes" / "notes.jsonl", root)
    return root


def test_every_note_is_accounted_for_with_exact_offsets_and_no_piece_lost(
    spark, as_shared: Path, shared_data: Path
) -> None:
    notes = spark.read.json(str(shared_data / "notes" / "notes.jsonl"))
    notes.createOrReplaceTempView("notes")
    for table in ("entities", "processed_notes", "note_windows", "predictions"):
        path = str(as_shared / table)
        spark.read.format("delta").load(path).createOrReplaceTempView(table)
    [accounted] = spark.sql(
        "SELECT count(*), count(DISTINCT p.note_id), sum(int(length(n.text) = p.characters)) "
        "FROM notes n LEFT JOIN processed_notes p USING (note_id)"
    ).collect()
    assert tuple(accounted) == (1641, 1641, 1641)
    [offsets] = spark.sql(
        "SELECT count(*), sum(int(substring(n.text, begin + 1, end - begin) = e.text)) "
        "FROM entities e LEFT JOIN notes n USING (note_id)"
    ).collect()
    assert offsets[0] == offsets[1] > 10_000
    # Word-pieces of an independent tokenizer over whole notes, against those that were scored.
    assert (
        _wordpieces_of_whole_notes(notes)
        == spark.table("processed_notes").agg(F.sum("wordpieces")).first()[0]
    )


def _wordpieces_of_whole_notes(notes: DataFrame) -> int:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(SHIPPED, local_files_only=True)
    texts = [row.text for row in notes.select("text").collect()]
    encoded = tokenizer(texts, add_special_tokens=False, truncation=False)
    return sum(len(ids) for ids in encoded["input_ids"])


@pytest.mark.parametrize("shape", ["parquet, 16 partitions", "delta, reversed, 1 partition"])
def test_format_partitions_and_order_change_nothing(
    spark, as_shared: Path, shared_data: Path, tmp_path: Path, shape: str
) -> None:
    rows = spark.read.json(str(shared_data / "notes" / "notes.jsonl"))
    place = tmp_path / "notes"
    if shape.startswith("parquet"):
        rows.repartition(16).write.parquet(str(place))
        more = ("--format", "parquet", "--set", "run.partitions=16")
    else:
        backwards = rows.orderBy(F.col("note_id").desc()).coalesce(1)
        backwards.write.format("delta").save(str(place))
        more = ("--set", "run.partitions=1")
    found = extract(spark, place, tmp_path / "root", *more)
    expected = spark.read.format("delta").load(f"{as_shared}/entities")
    assert keys(found) == keys(expected)


def test_doubled_notes_have_the_same_entities_and_cost_no_inference(
    spark, as_shared: Path, shared_data: Path, tmp_path: Path
) -> None:
    rows = spark.read.json(str(shared_data / "notes" / "notes.jsonl"))
    copies = rows.withColumn("note_id", F.concat(F.lit("copy of "), "note_id"))
    rows.unionByName(copies).write.parquet(str(tmp_path / "notes.parquet"))
    found = extract(spark, tmp_path / "notes.parquet", tmp_path / "root")
    expected = keys(spark.read.format("delta").load(f"{as_shared}/entities"))
    assert keys(found.where("note_id NOT LIKE 'copy of %'")) == expected
    of_copies = found.where("note_id LIKE 'copy of %'").withColumn(
        "note_id", F.regexp_replace("note_id", "^copy of ", "")
    )
    assert keys(of_copies) == expected
    single, double = (
        spark.read.format("delta").load(f"{root}/runs").first()
        for root in (as_shared, tmp_path / "root")
    )
    assert double.scored_windows == single.scored_windows
    assert double.wordpieces == 2 * single.wordpieces
