"""The main job through a local Spark Connect server, whose Python cannot import the checkout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyspark
import pytest

from tests.support.places import REPOSITORY, SHIPPED

pytestmark = [
    pytest.mark.integration,
    pytest.mark.model,
    pytest.mark.skipif(
        pyspark.__version__.startswith("3."),
        reason="pip's pyspark 3.5 has no Connect server: run this with LANE=spark4",
    ),
]


@pytest.fixture(scope="module")
def event_logs(workplace: Path) -> Path:
    folder = workplace / "event-logs"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def client(
    workplace: Path,
    processes,
    strange_python: Path,
    spark_environment: dict[str, str],
    event_logs: Path,
) -> Callable[..., tuple[int, str]]:
    """Runs a Python program as a client of a server that has Delta, but nothing of ours."""
    port = processes.free_port()
    command = [
        Path(spark_environment["SPARK_HOME"]) / "bin" / "spark-submit",
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--master", "local[2,4]", "--conf", "spark.sql.shuffle.partitions=4"),
        *("--conf", "spark.connect.grpc.binding.address=127.0.0.1"),
        *("--conf", f"spark.connect.grpc.binding.port={port}"),
        *("--conf", "spark.eventLog.enabled=true", "--conf", f"spark.eventLog.dir={event_logs}"),
        *("--conf", "spark.eventLog.compress=false", "spark-internal"),
    ]
    environment = spark_environment | {"PYSPARK_PYTHON": str(strange_python)}
    folder = workplace / "connect-server"
    folder.mkdir()
    log = processes.start("connect-server", command, environment, folder).log
    processes.wait_for_port(port, "the Connect server", log)
    remote = {"SPARK_REMOTE": f"sc://127.0.0.1:{port}", "PYTHONPATH": str(REPOSITORY)}

    def run(name: str, program: Path, *arguments: object) -> tuple[int, str]:
        # No spark-submit and no SPARK_HOME: a plain Python process.
        plain = {k: v for k, v in spark_environment.items() if not k.startswith("SPARK")}
        return processes.run(name, [sys.executable, program, *arguments], plain | remote, workplace)

    return run


@pytest.fixture(scope="module")
def root(client, workplace: Path, notes: Path) -> Path:
    """The root of a first run over Connect."""
    place = workplace / "over-connect"
    code, printed = extract(client, "connect-first", notes, place)
    assert code == 0, printed[-3000:]
    return place


def extract(client, name: str, notes: Path, root: Path) -> tuple[int, str]:
    job = REPOSITORY / "jobs" / "extract_entities.py"
    return client(name, job, "--notes", notes, "--output", root, "--model", SHIPPED)


def test_spark_connect_finds_what_a_classic_session_finds(
    root: Path, expected: list[tuple], entity_rows
) -> None:
    assert entity_rows(root) == expected


def test_a_second_run_over_connect_works_on_amended_notes_only(
    client, root: Path, notes: Path, workplace: Path, spark, entity_rows
) -> None:
    before = entity_rows(root)
    rows = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    rows[0]["text"] = "Metformin stopped. No complaint."
    amended = workplace / "amended.jsonl"
    amended.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    code, printed = extract(client, "connect-second", amended, root)
    assert code == 0, printed[-3000:]
    after = entity_rows(root)
    assert [row for row in after if row[0] != "a"] == [row for row in before if row[0] != "a"]
    assert [row[3] for row in after if row[0] == "a"] == ["Metformin"]
    ledger = spark.read.format("delta").load(f"{root}/processed_notes")
    worked = [row["count"] for row in ledger.groupBy("run_id").count().collect()]
    assert sorted(worked) == [1, len(rows) - 1]


def test_what_is_wrong_is_told_over_connect_as_well(client, workplace: Path) -> None:
    nowhere = workplace / "nowhere.parquet"
    code, printed = extract(client, "connect-wrong", nowhere, workplace / "no-root")
    assert code == 2, printed[-3000:]
    assert "nothing is there; check --notes" in printed
    assert not (workplace / "no-root").exists()


def test_a_write_that_another_one_overtook_is_tried_again(client, workplace: Path) -> None:
    program = Path(__file__).with_name("probe_conflict.py")
    code, printed = client("connect-conflict", program, workplace / "conflict-root")
    assert code == 0, printed[-3000:]
    told = json.loads(printed.splitlines()[-1])
    assert told == {"tries again": 1, "notes": ["fast", "slow"]}


def test_the_server_writes_no_text_and_no_key_down(
    root: Path, client, event_logs: Path, workplace: Path, spark_environment: dict[str, str]
) -> None:
    logs = [*event_logs.rglob("*"), workplace / "connect-server.log"]
    written = b"".join(path.read_bytes() for path in logs if path.is_file())
    assert b"mapInArrow" in written or b"MapInArrow" in written
    key = bytes.fromhex(spark_environment["CLINSPAN_HASH_KEY"])
    pad = bytes(byte ^ 0x36 for byte in key)
    for secret in (key, key.hex().encode(), pad, pad.hex().encode()):
        assert secret not in written
    for word in (b"lisinopril", b"penicillin"):
        assert word not in written.lower()
