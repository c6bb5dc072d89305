r"""One measurement of the benchmark, in its own process and Spark session (see `run_benchmark`).

    spark-submit jobs/benchmark/measure_speed.py --what clinspan --notes NOTES --workplace FOLDER \
        --model FOLDER

Reads notes (Parquet or Delta: note_id, text), runs Clinspan's whole job, a peer or the engine alone
on them, and writes `measured.json` into the workplace. The seconds count from the first read to the
last write: the session exists before, the model is not yet loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from conf.settings import load_settings
from jobs.benchmark.benchmark_inputs import read_gold, strict_f1
from jobs.command_line.exit_codes import DONE, exit_code
from jobs.wiring.extraction_plan import make_plan
from jobs.wiring.onnx_cache import cached_export
from jobs.wiring.start_session import start_session
from pipelines.benchmark import peers
from pipelines.progress import Progress
from pipelines.run.extraction_run import run_extraction
from pipelines.spark.slots import task_slots
from pipelines.tables.definitions import ENTITIES
from udfs.classifiers.model_loading import check_package
from udfs.spans import Span

JOB = "measure_speed"
MEASURED = "measured.json"
CLINSPAN, ENGINE = "clinspan", "engine"
THREADS = 1
PARTS_A_TASK = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _measure(arguments))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        description="Measure Clinspan or a peer over some notes.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--what", required=True, choices=[CLINSPAN, ENGINE, *PEERS])
    add("--notes", type=Path, required=True, help="Parquet, or a Delta folder")
    add("--workplace", type=Path, required=True, help="an empty folder")
    add("--model", type=Path, required=True, help="a model package")
    add("--gold", type=Path, help="a folder with gold.jsonl: annotated documents among the notes")
    add("--threads", type=int, default=1, help="of the engine alone (1)")
    add("--batch-size", type=int, default=16, help="of hugging_face_tuned (16)")
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for clinspan")
    return parser


def _measure(arguments: argparse.Namespace) -> int:
    if arguments.what == ENGINE:
        figures = _engine(arguments)
    else:
        spark = start_session(f"clinspan-{JOB}")
        measure = _clinspan if arguments.what == CLINSPAN else _peer
        figures = measure(spark, arguments)
    (arguments.workplace / MEASURED).write_text(json.dumps(figures), encoding="utf-8")
    return DONE


def _engine(arguments: argparse.Namespace) -> dict[str, float]:
    """The classifier on the distinct windows of the notes, without Spark, and its bound."""
    from pyarrow import parquet

    from udfs.benchmark.compute_bound import measure_engine
    from udfs.text.segmentation import segment_note

    texts = parquet.read_table(arguments.notes, columns=["text"]).column("text").to_pylist()
    windows = {text[begin:end] for text in texts for begin, end in segment_note(text)}
    return measure_engine(arguments.model, sorted(windows), arguments.threads)


def _clinspan(spark: SparkSession, arguments: argparse.Namespace) -> dict[str, float]:
    places = {
        "notes.path": str(arguments.notes),
        "output.path": str(arguments.workplace / "root"),
        "model.folder": str(arguments.model),
    }
    settings = load_settings(None, None, arguments.set, places)
    plan = make_plan(settings, check_package(arguments.model.absolute()))
    started = time.monotonic()
    record = run_extraction(spark, plan, Progress())
    figures = {
        "seconds": time.monotonic() - started,
        "notes": record.notes,
        "wordpieces": record.wordpieces or 0,
        "distinct_wordpieces": record.scored_wordpieces or 0,
        "windows": record.windows or 0,
        "distinct_windows": record.distinct_windows or 0,
        "scoring_seconds": record.inference_seconds or 0.0,
        "mentions": record.entities or 0,
    }
    mentions = plan.root.read(spark, ENTITIES).select("note_id", "begin", "end", "label")
    return figures | _quality(mentions, arguments)


def _peer(spark: SparkSession, arguments: argparse.Namespace) -> dict[str, float]:
    out = str(arguments.workplace / "mentions")
    started = time.monotonic()
    find = PEERS[arguments.what](arguments)
    # Repartitioned, since a small file would be one task and use one core.
    rows = spark.read.parquet(str(arguments.notes)).select("note_id", "text")
    find(rows.repartition(PARTS_A_TASK * task_slots(spark))).write.parquet(out)
    seconds = time.monotonic() - started
    found = spark.read.parquet(out)
    figures = {"seconds": seconds, "notes": float(found.count())}
    if not dict(found.dtypes)["found"].startswith("array"):
        return figures
    mentions = found.selectExpr("note_id", "inline(found)")
    return figures | {"mentions": float(mentions.count())} | _quality(mentions, arguments)


def _quality(mentions: DataFrame, arguments: argparse.Namespace) -> dict[str, float]:
    """`f1` of the mentions of annotated documents, where there are any."""
    gold = read_gold(arguments.gold) if arguments.gold else []
    if not gold:
        return {}
    wanted = mentions.where(mentions["note_id"].isin([document.doc_id for document in gold]))
    found: dict[str, list[Span]] = {}
    for row in wanted.select("note_id", "begin", "end", "label").collect():
        found.setdefault(row["note_id"], []).append(Span(row["begin"], row["end"], row["label"]))
    return {"f1": strict_f1(gold, found)}


def _spark_nlp(arguments: argparse.Namespace) -> peers.Peer:
    return peers.spark_nlp(cached_export(check_package(arguments.model)))


# A task uses one thread, since Spark gives it one core, unless spark.task.cpus says more.
PEERS: dict[str, Callable[[argparse.Namespace], peers.Peer]] = {
    "hugging_face": lambda a: peers.hugging_face(a.model, THREADS),
    "hugging_face_tuned": lambda a: peers.hugging_face_tuned(a.model, THREADS, a.batch_size),
    "predict_batch_udf": lambda a: peers.predict_batch(a.model, THREADS),
    "mlflow_spark_udf": lambda a: peers.mlflow_udf(a.model, a.workplace),
    "spark_nlp": _spark_nlp,
}

if __name__ == "__main__":
    sys.exit(main())
