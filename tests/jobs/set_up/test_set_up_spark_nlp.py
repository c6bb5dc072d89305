"""The table of Spark NLP's jars, and what set-up does with it; no Ivy, no Java."""

from __future__ import annotations

import importlib.metadata
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from conf.lanes import LANES
from conf.spark_nlp_jars import LEFT_OUT, SPARK_LINE, SPARK_NLP_JARS
from jobs.set_up import set_up_spark, set_up_spark_nlp
from pipelines.scoring.spark_nlp_engine import SPARK_NLP_VERSION


def test_the_jars_fit_their_lane_and_the_engine() -> None:
    [lane] = [lane for lane in LANES if lane.spark_line == SPARK_LINE]
    [spark_nlp] = [jar for jar in SPARK_NLP_JARS if jar.artifact.startswith("spark-nlp")]
    assert spark_nlp.file_name == f"spark-nlp_{lane.scala}-{SPARK_NLP_VERSION}.jar"
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in SPARK_NLP_JARS)
    assert len({jar.file_name for jar in SPARK_NLP_JARS}) == len(SPARK_NLP_JARS)


def test_what_is_left_out_is_none_of_the_jars() -> None:
    patterns = [entry if ":" in entry else f"{entry}:*" for entry in LEFT_OUT]
    names = [jar.coordinate.rsplit(":", 1)[0] for jar in SPARK_NLP_JARS]
    assert not [(n, p) for n in names for p in patterns if fnmatch(n, p)]


def test_ivy_is_told_what_to_leave_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for spark-submit writes down how it was called."""
    submit = tmp_path / "bin" / "spark-submit"
    submit.parent.mkdir()
    submit.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/arguments\n')
    submit.chmod(0o755)
    set_up_spark.resolve(SPARK_NLP_JARS, ("org.one", "com.two:three"), tmp_path, tmp_path, None)
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert "--conf=spark.jars.excludes=org.one:*,com.two:three" in arguments
    assert ",".join(jar.coordinate for jar in SPARK_NLP_JARS) in arguments


@pytest.fixture
def spark_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(set_up_spark_nlp, "find_spark_home", lambda: tmp_path)
    return tmp_path


def use_pyspark(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)


def test_set_up_installs_these_jars_and_says_so(
    spark_home: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    use_pyspark("3.5.9", monkeypatch)
    calls = []

    def set_up(*arguments: object) -> list[str]:
        calls.append(arguments)
        return ["a.jar"]

    monkeypatch.setattr(set_up_spark_nlp, "set_up", set_up)
    assert set_up_spark_nlp.main(["--ivy-settings", "mirror.xml"]) == 0
    assert calls == [(spark_home, SPARK_NLP_JARS, LEFT_OUT, "mirror.xml")]
    assert capsys.readouterr().out == "Spark NLP: a.jar\n"


@pytest.mark.parametrize("version", ["4.2.0", "3.4.4", "3.50.0"])
def test_another_spark_is_refused(
    spark_home: Path, monkeypatch: pytest.MonkeyPatch, capsys, version: str
) -> None:
    use_pyspark(version, monkeypatch)
    monkeypatch.setattr(set_up_spark_nlp, "set_up", lambda *_: pytest.fail("not for this Spark"))
    assert set_up_spark_nlp.main([]) == 2
    assert f"pyspark {version}" in capsys.readouterr().err
