"""What set-up does to a Spark folder, on a small made-up one; no Ivy, no Java."""

import hashlib
import os
from pathlib import Path

import pytest

from conf.lanes import Jar
from jobs.set_up import set_up_spark
from jobs.set_up.set_up_spark import (
    SetUpError,
    check_resolved,
    install_file,
    missing_jars,
    stale_files,
)

CONTENT = b"jar content"
JAR = Jar("io.example:tables_2.12:1.2.0", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def spark_home(tmp_path: Path) -> Path:
    (tmp_path / "spark" / "jars").mkdir(parents=True)
    return tmp_path / "spark"


@pytest.fixture
def resolved(tmp_path: Path) -> Path:
    (tmp_path / "resolved").mkdir()
    (tmp_path / "resolved" / "io.example_tables_2.12-1.2.0.jar").write_bytes(CONTENT)
    return tmp_path / "resolved"


def test_a_jar_with_other_content_counts_as_missing(spark_home: Path) -> None:
    jars = spark_home / "jars"
    assert missing_jars([JAR], jars) == [JAR]
    (jars / JAR.file_name).write_bytes(b"half a jar")
    assert missing_jars([JAR], jars) == [JAR]
    (jars / JAR.file_name).write_bytes(CONTENT)
    assert missing_jars([JAR], jars) == []


def test_only_other_versions_of_the_same_artifact_are_stale(spark_home: Path) -> None:
    jars = spark_home / "jars"
    kept = [JAR.file_name, "tables_2.12-extra-1.0.jar", "tables_2.13-1.0.jar", "other-1.2.0.jar"]
    for name in [*kept, "tables_2.12-1.1.0.jar"]:
        (jars / name).touch()
    assert stale_files([JAR], jars) == [jars / "tables_2.12-1.1.0.jar"]


def test_installing_replaces_the_file_and_leaves_its_other_links_alone(tmp_path: Path) -> None:
    source, target, cache = tmp_path / "source", tmp_path / "in" / "target", tmp_path / "cache"
    source.write_bytes(b"new")
    cache.write_bytes(b"old")
    target.parent.mkdir()
    os.link(cache, target)
    assert install_file(source, target) is True
    assert target.read_bytes() == b"new"
    assert cache.read_bytes() == b"old"
    assert install_file(source, target) is False
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_what_ivy_resolved_is_matched_to_the_table(spark_home: Path, resolved: Path) -> None:
    (spark_home / "jars" / "antlr4-runtime-4.9.3.jar").touch()
    (resolved / "org.antlr_antlr4-runtime-4.9.3.jar").touch()
    found = check_resolved([JAR], resolved, spark_home / "jars")
    assert found == {JAR: resolved / "io.example_tables_2.12-1.2.0.jar"}


def test_a_jar_with_another_digest_is_refused(spark_home: Path, resolved: Path) -> None:
    (resolved / "io.example_tables_2.12-1.2.0.jar").write_bytes(b"something else")
    with pytest.raises(SetUpError, match=f"must have SHA-256 {JAR.sha256}"):
        check_resolved([JAR], resolved, spark_home / "jars")


def test_a_dependency_that_is_not_listed_is_refused(spark_home: Path, resolved: Path) -> None:
    (resolved / "org.example_surprise-1.0.jar").touch()
    with pytest.raises(SetUpError, match=r"surprise-1\.0\.jar"):
        check_resolved([JAR], resolved, spark_home / "jars")


def test_a_jar_that_ivy_did_not_bring_is_an_error(spark_home: Path, tmp_path: Path) -> None:
    with pytest.raises(SetUpError, match=JAR.coordinate):
        check_resolved([JAR], tmp_path, spark_home / "jars")


def test_set_up_brings_all_files_once(
    spark_home: Path, resolved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_up_spark, "resolve", lambda *_: resolved)
    (spark_home / "jars" / "tables_2.12-1.1.0.jar").touch()
    assert set_up_spark.set_up(spark_home, (JAR,)) == [
        JAR.file_name,
        "tables_2.12-1.1.0.jar (removed)",
        "spark-defaults.conf",
        "log4j2.properties",
    ]
    assert (spark_home / "jars" / JAR.file_name).read_bytes() == CONTENT
    monkeypatch.setattr(set_up_spark, "resolve", lambda *_: pytest.fail("nothing is missing"))
    assert set_up_spark.set_up(spark_home, (JAR,)) == []


def test_spark_defaults_hold_what_the_project_relies_on() -> None:
    text = (set_up_spark.CONF_SOURCES / "spark-defaults.conf").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    defaults = dict(line.split(maxsplit=1) for line in lines)
    assert len(defaults) == len(lines), "a setting stands there twice"
    assert defaults["spark.io.encryption.enabled"] == "true"
    assert defaults["spark.sql.ansi.enabled"] == "false"
    assert defaults["spark.sql.session.timeZone"] == "UTC"
    assert defaults["spark.master"] == "local[*,4]"
    assert "spark.jars" not in defaults
    assert "spark.jars.packages" not in defaults
