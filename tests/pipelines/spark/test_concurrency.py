"""Works side by side: all end, the first error is told."""

import threading
from collections.abc import Callable, Iterator

import pytest
from pyspark.sql import SparkSession

from pipelines.spark.concurrency import in_background, overlapping, side_by_side


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


def test_overlapping_works_give_their_results_in_order() -> None:
    second_ended = threading.Event()

    def first() -> int:
        assert second_ended.wait(10)  # does not come where the second waits for the first
        return 1

    def second() -> int:
        second_ended.set()
        return 2

    assert list(overlapping([first, second, lambda: 3], at_once=2)) == [1, 2, 3]


def test_a_work_is_asked_for_when_there_is_room_for_it() -> None:
    asked: list[int] = []

    def works() -> Iterator[Callable[[], int]]:
        for number in range(5):
            asked.append(number)
            yield lambda number=number: number

    results = overlapping(works(), at_once=2)

    assert next(results) == 0
    assert asked == [0, 1]
    assert next(results) == 1
    assert asked == [0, 1, 2]


def test_after_an_error_nothing_is_begun_and_what_was_begun_has_ended() -> None:
    begun: list[str] = []
    may_end, ended = threading.Event(), threading.Event()

    def fail() -> None:
        may_end.set()
        raise ValueError("broken")

    def work() -> None:
        begun.append("second")
        may_end.wait(10)
        ended.set()

    with pytest.raises(ValueError, match="broken"):
        list(overlapping([fail, work, lambda: begun.append("third")], at_once=2))

    assert ended.is_set()
    assert begun == ["second"]
