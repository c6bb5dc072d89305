"""The table of lanes: which pyspark gets which jars."""

import re

import pytest

from conf.lanes import LANES, UnsupportedSparkVersionError, lane_for


@pytest.mark.parametrize(
    ("spark_version", "name"),
    [
        ("3.5.9", "default"),
        ("3.5.0", "default"),
        ("3.5.10.dev1", "default"),
        ("4.2.0", "spark4"),
        ("4.2.1", "spark4"),
    ],
)
def test_a_release_line_shares_a_lane(spark_version: str, name: str) -> None:
    assert lane_for(spark_version).name == name


@pytest.mark.parametrize("spark_version", ["3.4.4", "3.50.1", "4.0.0", "4.20.0", "2.4.8", ""])
def test_an_untried_line_is_refused_with_the_mend(spark_version: str) -> None:
    with pytest.raises(UnsupportedSparkVersionError, match="make setup"):
        lane_for(spark_version)


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.name)
def test_a_lane_agrees_with_itself(lane) -> None:
    packages = dict(lane.python_packages)
    assert packages["pyspark"].startswith(f"{lane.spark_line}.")
    delta = next(jar for jar in lane.jars if jar.artifact.startswith("delta-spark"))
    assert delta.artifact.endswith(f"_{lane.scala}")
    assert delta.coordinate.endswith(f":{packages['delta-spark']}")
    assert delta.file_name == f"{delta.artifact}-{packages['delta-spark']}.jar"
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in lane.jars)
