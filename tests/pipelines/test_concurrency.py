"""Works side by side: all end, the first error is told."""

import threading

import pytest
from pyspark.sql import SparkSession

from pipelines.concurrency import in_background, side_by_side


def test_works_go_on_at_the_same_time(spark: SparkSession) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def count(rows: int) -> int:
        meeting.wait()  # breaks where the other does not come
        return spark.range(rows).count()

    assert side_by_side(lambda: count(3), lambda: count(4)) == [3, 4]


def test_an_error_is_raised_when_all_have_ended() -> None:
    failed, ended = threading.Event(), threading.Event()

    def fail() -> None:
        failed.set()
        raise ValueError("broken")

    def work() -> None:
        failed.wait(10)
        ended.set()

    with pytest.raises(ValueError, match="broken"):
        side_by_side(fail, work)

    assert ended.is_set()


def test_threads_have_the_properties_of_the_caller(spark: SparkSession) -> None:
    context = spark.sparkContext
    context.setLocalProperty("clinspan.test", "here")
    found: list[str | None] = []
    try:
        side_by_side(lambda: found.append(context.getLocalProperty("clinspan.test")))
    finally:
        context.setLocalProperty("clinspan.test", None)

    assert found == ["here"]


def test_work_in_the_background_is_not_waited_for_and_may_fail() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(10)
        ended.set()
        raise ValueError("broken")

    in_background(work)

    assert begun.wait(10)
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(10)
