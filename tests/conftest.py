"""What tests of several folders share: where data lies, one Spark session, a fake engine."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from tests.support.places import REPOSITORY, SAMPLES

# On two cores, collector and compilers take the program's time: a collector that does not work
# beside it saves a tenth, the slow compiler for what is five times as hot as usual a fifth.
JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    "-XX:Tier4InvocationThreshold=25000",
    "-XX:Tier4MinInvocationThreshold=3000",
    "-XX:Tier4CompileThreshold=75000",
    "-XX:Tier4BackEdgeThreshold=200000",
)


# `--quick` leaves out what starts Spark, trains, exports or logs models, or imports transformers or
# spaCy, which takes a process 18 and 6 s.
SLOW_FIXTURES = {"spark", "run_notebook", "tiny_model", "tiny_models", "tiny_package"}
SLOW_FIXTURES |= {"random_package"}
SLOW_FOLDERS = {"clusters", "end_to_end", "faults", "notebooks", "soak"}
SLOW_ROOMS = {"comparison", "encoders", "examples", "fine_tuning", "foreign_models", "loop"}
SLOW_ROOMS |= {"package", "spacy_models", "tracking"}
SLOW_JOBS = ("adapt", "average", "calibrate", "compare", "fine_tune", "import_model")
SLOW_JOBS += ("promote", "publish", "score", "train")
SLOW_MODULES = {"test_docbin", "test_encoder", "test_model_families", "test_token_classifier"}
SLOW_MODULES |= {"test_spark_nlp_rows", "test_launch_training"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--quick`."""
    parser.addoption("--quick", action="store_true", help="no Spark, no training: `make quick`")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keeps `--quick` from importing what is slow to import."""
    if not config.getoption("--quick"):
        return None
    place = collection_path.relative_to(REPOSITORY).parts[1:]
    name = collection_path.stem
    is_slow = (
        bool(SLOW_FOLDERS & set(place[:1]))
        or (place[:1] == ("training",) and bool(SLOW_ROOMS & set(place[1:2])))
        or (place[:1] == ("jobs",) and name.removeprefix("test_").startswith(SLOW_JOBS))
        or name in SLOW_MODULES
    )
    return is_slow or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out, with `--quick`, what has slow fixtures, is heavy or reads the shared data."""
    if not config.getoption("--quick"):
        return
    chosen, left_out = [], []
    for item in items:
        slow = SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))
        marks = {mark.name for mark in item.iter_markers()} & {"heavy", "data", "whole"}
        is_slow = bool(slow or marks)
        (left_out if is_slow else chosen).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=left_out)


# Other work on the same machine makes single examples slow at times.
settings.register_profile("default", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("default")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of corpora and notes beside the repository; skips where it is absent."""
    folder = Path(os.environ.get("CLINSPAN_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the shared data is not here: set CLINSPAN_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def load_tiny() -> Callable[[str], ModuleType]:
    """Imports a module of `tests/support` that makes something tiny, by its name, when it is
    wanted: torch, transformers and spaCy take seconds that most tests need not wait."""
    return lambda name: importlib.import_module(f"tests.support.{name}")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The invented notes of the repository, JSON Lines."""
    return SAMPLES


class FakeClassifier:
    """Marks words by their endings: an engine that needs no model and is always right."""

    ENDINGS = (
        ("Chemical", r"\b\w+(?:in|ol|ide|ine|pril)\b"),
        ("Disease", r"\b\w+(?:ia|itis|sion)\b"),
    )

    def predict(self, texts: Sequence[str]) -> list:
        from udfs.spans import Span, WindowPrediction

        predictions = []
        for text in texts:
            spans = [
                Span(m.start(), m.end(), label, 0.5 + len(m.group()) / 200)
                for label, ending in self.ENDINGS
                for m in re.finditer(ending, text)
            ]
            predictions.append(WindowPrediction(tuple(spans), len(text.split()), 0))
        return predictions


class FakeEngine:
    """`pipelines.scoring.torch_engine.Engine` over the fake classifier."""

    def __call__(self, windows):
        from pipelines import schemas

        return windows.select("window_hash", "text").mapInArrow(self._score, schemas.PREDICTION)

    def _score(self, batches):
        from udfs.stages.arrow_stages import classify_batches

        return classify_batches(batches, FakeClassifier(), buffer_windows=500)


@pytest.fixture(scope="session")
def fake_classifier() -> FakeClassifier:
    return FakeClassifier()


@pytest.fixture(scope="session")
def fake_engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """One session for all tests: two slots, small shuffles, and little of what costs the driver."""
    from pyspark import cloudpickle

    # Workers cannot import test modules: what a test sends them travels by value.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    warehouse = tmp_path_factory.mktemp("warehouse")
    options = {
        "spark.master": "local[2,4]",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": str(warehouse),
        "spark.driver.extraJavaOptions": " ".join(JVM_OPTIONS),
        # Nobody looks at the plans, which are written down anew with every stage.
        "spark.sql.ui.explainMode": "simple",
    }
    # Compiling each query took more time than running it: a run of 70 notes 33 s with it, 21 s
    # without. The job's own test by spark-submit compiles as in production.
    options |= {
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    arguments = " ".join(f"--conf '{key}={value}'" for key, value in options.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{arguments} pyspark-shell"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from jobs.wiring.start_session import start_session

    session = start_session("clinspan-tests")
    _remember_classes(session)
    yield session
    session.stop()


def _remember_classes(session) -> None:
    """Else each `F.col` makes the JVM look through all of its jars: 540 times in a run."""
    jvm = session.sparkContext._jvm
    for name in ("functions", "PythonUtils"):
        setattr(jvm, name, getattr(jvm, name))


@pytest.fixture(scope="session")
def made_root(spark, fake_engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `notes.jsonl` and `root`, the tables of two runs: to copy, not to change.

    Notes `a` (amended before the second run), `b` and `blank` are of patient 1; `c`, which
    shares a window with `a`, and `d` of patient 2; `e` without entities of 3; `long` is
    quarantined.
    """
    from pipelines.progress import Progress
    from pipelines.run.extraction_run import run_extraction
    from tests.support.run_plans import plan_of

    folder = tmp_path_factory.mktemp("made")
    plan = plan_of(
        folder / "notes.jsonl",
        folder / "root",
        fake_engine,
        partitions=2,
        max_note_characters=100,
    )
    for drug in ("aspirin", "insulin"):
        notes = {
            "a": (1, f"Takes {drug} daily.\n\nNo anemia."),
            "b": (1, "Penicillin for bronchitis. 😀 Warfarin\r\nand heparin."),
            "blank": (1, " \n"),
            "c": (2, "Seen today for angina.\n\nNo anemia."),
            "d": (2, "Started lisinopril; hypertension."),
            "e": (3, "Slept well."),
            "long": (3, "word " * 40),
        }
        lines = [
            json.dumps({"note_id": i, "subject_id": subject, "text": text})
            for i, (subject, text) in notes.items()
        ]
        (folder / "notes.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        run_extraction(spark, plan, Progress())
    return folder
