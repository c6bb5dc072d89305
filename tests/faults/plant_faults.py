"""Plants small faults in a copy of the code, one at a time, and sees whether the tests catch them.

    .venv/bin/python tests/faults/plant_faults.py            # all; --only WORD: some; --quick: no Spark

A fault is one small change: a comparison turned round, a join made inner, a filter dropped. It is
caught if the tests that belong to its module fail. The script prints a line for each fault and ends
with 1 if one was not caught, or if a line that it wants to change is not there any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import REPOSITORY

COPIED = ("conf", "udfs", "pipelines", "training", "jobs", "tests", "samples", "docs", "models")


@dataclass(frozen=True)
class Fault:
    """One change of a line, and the tests that must fail then."""

    path: str
    line: str
    instead: str
    tests: str
    needs_spark: bool = False


def fault(path: str, line: str, instead: str, tests: str) -> Fault:
    """A fault that tests without Spark catch."""
    return Fault(path, line, instead, f"tests/{tests}")


def spark_fault(path: str, line: str, instead: str, tests: str) -> Fault:
    """A fault that needs a session to be seen."""
    return Fault(path, line, instead, f"tests/{tests}", needs_spark=True)


LAYERS, EXITS = "test_layering.py", "jobs/command_line/test_exit_codes.py"
COLUMNS, DOCS = "udfs/test_table_columns.py", "jobs/set_up/test_column_docs.py"
PRINT = "udfs/annotation/test_pipeline_fingerprint.py"
NOTE, MERGING = "udfs/annotation/test_note_annotation.py", "udfs/annotation/test_entity_merging.py"
STAGES, CUTTING = "udfs/stages/test_arrow_stages.py", "udfs/text/test_segmentation.py"
SHIPPING, PLAN = "jobs/wiring/test_ship_to_executors.py", "jobs/wiring/test_extraction_plan.py"
SOURCE, DUE = "pipelines/source/test_note_source.py", "pipelines/run/test_due_notes.py"
WRITES, VIEWS = "pipelines/tables/test_row_writes.py", "pipelines/catalog/test_registration.py"
LINE = "jobs/command_line/exit_codes.py"

FAULTS = (
    # The one ending of all jobs.
    fault(LINE, "return work() or DONE", "return work() or FAILED", EXITS),
    fault(LINE, "except BaseException as error:", "except Exception as error:", EXITS),
    fault(LINE, "return fail(job, BAD_INPUT, str(error))", "return fail(job, FAILED, str(error))", EXITS),
    fault(LINE, "except RootBusyError as error:", "except ZeroDivisionError as error:", EXITS),
    fault(LINE, 'f"{_name_of(error)}; what', 'f"{error}; what', EXITS),
    fault(LINE, "{os.strerror(error.errno)}", "{error.strerror}", EXITS),
    fault(LINE, "except (KeyboardInterrupt, SystemExit):", "except SystemExit:", EXITS),
    fault("jobs/verify_tables.py", "return exit_code(JOB, lambda:", "return (lambda job, work: work())(JOB, lambda:", EXITS),
    # Columns, and what is made of them.
    fault("udfs/table_columns.py", "if self.statistics and self.sensitivity in", "if self.statistics and self.sensitivity not in", COLUMNS),
    fault("udfs/table_columns.py", 'Column("text", STRING, TEXT,', 'Column("text", STRING, MODEL,', COLUMNS),
    fault("udfs/table_columns.py", 'Column("hadm_id", LONG, IDS, "the admission", nullable=True, statistics=True)', 'Column("hadm_id", LONG, IDS, "the admission", nullable=True)', DOCS),
    fault("jobs/set_up/column_docs.py", "return before + begin", "return begin", DOCS),
    fault("jobs/set_up/column_docs.py", "if column.statistics else", "if not column.statistics else", DOCS),
    fault("udfs/arrow_schemas.py", "if array.null_count and not f.nullable:", "if array.null_count and f.nullable:", "udfs/test_arrow_schemas.py"),
    fault("udfs/arrow_schemas.py", "if set(columns) != set(schema.names):", "if set(columns) == set(schema.names):", "udfs/test_arrow_schemas.py"),
    fault("pipelines/schemas.py", "kind.value_field.nullable)", "not kind.value_field.nullable)", "pipelines/test_schemas.py"),
    fault("pipelines/schemas.py", "spark_type(f.type), f.nullable)", "spark_type(f.type), True)", "pipelines/test_schemas.py"),
    # The pipeline fingerprint.
    fault("udfs/annotation/pipeline_fingerprint.py", "**RULE_VERSIONS, **settings}", "**settings}", PRINT),
    fault("udfs/annotation/pipeline_fingerprint.py", "for field in fields(annotation)", "for field in fields(annotation)[:-1]", PRINT),
    fault("udfs/annotation/pipeline_fingerprint.py", "return sorted(value)", "return sorted(value, reverse=True)", PRINT),
    fault("udfs/annotation/pipeline_fingerprint.py", "sort_keys=True", "sort_keys=False", PRINT),
    # One note.
    fault("udfs/annotation/steps.py", "if m.label in wanted]", "if m.label not in wanted]", NOTE),
    fault("udfs/annotation/steps.py", "if m.score >= settings.min_score]", "if m.score > settings.min_score]", NOTE),
    fault("udfs/annotation/steps.py", "= (_keep_labels, _keep_scores)", "= (_keep_labels,)", NOTE),
    fault("udfs/annotation/entity_merging.py", "and not _is_inside(span, blanks)", "", MERGING),
    fault("udfs/annotation/entity_merging.py", "span.end <= blanks[i][1]", "span.end < blanks[i][1]", MERGING),
    fault("udfs/annotation/entity_merging.py", "for key in sorted(found)]", "for key in found]", MERGING),
    fault("udfs/text/segmentation.py", "if len(line.rstrip()) + 1 + len(first_word) >= WRAP_COLUMN:", "if len(line.rstrip()) + 1 + len(first_word) < WRAP_COLUMN:", CUTTING),
    fault("udfs/text/segmentation.py", 'if stripped.endswith(":"):', 'if stripped.endswith(";"):', CUTTING),
    fault("udfs/text/text_hash.py", "b ^ 0x36", "b ^ 0x37", "udfs/text/test_text_hash.py"),
    fault("udfs/stages/arrow_stages.py", "sum(w.unread_characters for w in scored)", "len(scored)", STAGES),
    fault("udfs/decoding/tag_paths.py", "if possible.all():", "if not possible.all():", "udfs/decoding/test_tag_paths.py"),
    # The package and the code, from the command line to the workers.
    fault("jobs/wiring/ship_to_executors.py", "if entry.is_dir():", "if not entry:", SHIPPING),
    fault("jobs/wiring/ship_to_executors.py", 'if distribute == "auto" and _is_seen', 'if distribute != "auto" and _is_seen', SHIPPING),
    fault("jobs/wiring/extraction_plan.py", "min_score=settings.entities.min_score,", "", PLAN),
    fault("jobs/wiring/locate_model.py", "return check_package(Path(place))", "check_package(Path(place)); return check_package(Path(place))", PLAN),
    fault("conf/setting_sections.py", "if str(value).startswith(REGISTRY):", "if not str(value).startswith(REGISTRY):", "conf/test_settings.py"),
    # Rows of Spark.
    spark_fault("pipelines/source/note_source.py", "return replace(source, format=detect_format(source.path))", "detect_format(source.path); return source", SOURCE),
    spark_fault("pipelines/source/note_selection.py", 'how="left_anti")', 'how="inner")', SOURCE),
    spark_fault("pipelines/source/note_selection.py", "(~F.col(\"withdrawn\")).alias(\"stands\")", "F.col(\"withdrawn\").alias(\"stands\")", DUE),
    spark_fault("pipelines/run/due_notes.py", "same_text, ~F.col(\"_same_pipeline\")", "same_text, F.col(\"_same_pipeline\")", DUE),
    spark_fault("pipelines/run/due_notes.py", 'joined = keys.join(done, on="note_id", how="left")', 'joined = keys.join(done, on="note_id", how="inner")', DUE),
    spark_fault("pipelines/run/due_notes.py", ".where(~is_older).select", ".select", DUE),
    spark_fault("pipelines/tables/row_writes.py", 'same_model = "" if model is None', 'same_model = "" if model', WRITES),
    spark_fault("pipelines/tables/row_writes.py", "WHEN NOT MATCHED AND NOT s.{_TOMBSTONE} THEN", "WHEN NOT MATCHED THEN", WRITES),
    spark_fault("pipelines/catalog/catalog_views.py", "if column.in_views]", "if not column.in_views]", VIEWS),
    spark_fault("pipelines/spark/retries.py", "if attempt == TRIES - 1:", "if attempt == 0:", WRITES),
)  # fmt: skip


def plant(copy: Path, one: Fault) -> bool:
    """Changes the line in the copy; False if it is not there exactly once."""
    path = copy / one.path
    text = path.read_text(encoding="utf-8")
    if text.count(one.line) < 1:
        return False
    path.write_text(text.replace(one.line, one.instead, 1), encoding="utf-8")
    return True


def is_caught(copy: Path, tests: str) -> bool:
    """Whether a test of the copy fails, or cannot even be collected (pytest's 2)."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests]
    command += ["-m", "not slow and not integration and not faults"]  # whole runs, too
    # Workers of Spark import the copy, too.
    environment = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False)
    return done.returncode in (1, 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    parser = argparse.ArgumentParser(description="Plant faults and see whether tests catch them.")
    parser.add_argument("--only", metavar="WORD", default="", help="faults with this in their path")
    parser.add_argument("--quick", action="store_true", help="only those that need no Spark")
    arguments = parser.parse_args(argv)
    chosen = [f for f in FAULTS if arguments.only in f.path]
    chosen = [f for f in chosen if not (arguments.quick and f.needs_spark)]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(
                REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("pyproject.toml", "setup.py", "Makefile", "README.md"):
            shutil.copy(REPOSITORY / name, copy)
        for number, one in enumerate(chosen, 1):
            before = (copy / one.path).read_text(encoding="utf-8")
            began = time.monotonic()
            if not plant(copy, one):
                verdict = "NOT THERE"
            else:
                verdict = "caught" if is_caught(copy, one.tests) else "MISSED"
            (copy / one.path).write_text(before, encoding="utf-8")
            missed += verdict != "caught"
            seconds = time.monotonic() - began
            print(f"{number:2} {verdict:9} {seconds:4.0f} s  {one.path}: {one.line}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} faults caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
