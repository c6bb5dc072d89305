from collections.abc import Callable
from typing import Any

import pytest

from conf.settings import SettingsError


@pytest.fixture
def faults(load) -> Callable[..., tuple[str, ...]]:
    def _faults(*overrides: str, **kwargs: Any) -> tuple[str, ...]:
        with pytest.raises(SettingsError) as caught:
            load(*overrides, **kwargs)
        return caught.value.faults

    return _faults


def test_both_places_in_one_source_are_a_fault(faults):
    (fault,) = faults("notes.path=a", "notes.table=b")
    assert fault.startswith('notes.table = "b" (from --set): exactly one of notes.path and')


@pytest.mark.parametrize(
    "override",
    [
        "notes.path=''",
        "notes.path=5",
        'notes.path="a\\nb"',
        'notes.path="a\\u2028b"',
        "notes.table=a b",
        "notes.table=a.b.c.d",
        "notes.format=xml",
        "notes.limit=0",
        "notes.limit=true",
        "notes.limit=1.0",
        "notes.limit='5'",
        "notes.columns=null",
        "notes.columns.note_id=null",
        "notes.columns.note_id=[a, b]",
        "notes.columns.text=note_id",
        "notes.columns.withdrawn=[a]",
        "notes.columns.subject_id=[a, '']",
        "notes.columns.subject_id=[a, a]",
        "notes.columns.subject_id={a: b}",
        "output.schema=a.b.c",
        "output.schema=1a",
        "output.schema=a-b",
        "output.schema=é",
        'output.schema="a\\n"',
        "model.folder=",
        "model.folder=''",
        "model.engine=tensorflow",
        "model.device=gpu",
        "model.precision=float16",
        "model.tokens_per_batch=0",
        "model.buffer_windows=-1",
        "notes.since=yesterday",
        "notes.until=5",
        "notes.changed_only=1",
        "model.hang_seconds=0",
        "run.trigger=always",
        "run.wait_seconds=-1",
        "run.plan=later",
        "run.price_per_hour=0",
        "entities.labels=[]",
        "entities.labels=[A, A]",
        "entities.labels=[1]",
        "entities.min_score=1.1",
        "entities.min_score=-0.1",
        "entities.min_score=.nan",
        "entities.min_score=false",
        "run.partitions=0",
        "run.partitions=true",
        "run.partitions=all",
        "run.slice_seconds=0",
        "run.slice_seconds=1e999",
        "run.max_quarantined_fraction=5",
        "run.max_note_characters=2147483648",
        "run.app_name=' '",
        "security.hash_key_file=",
        "notes=5",
        "run=null",
    ],
)
def test_impossible_values_are_one_fault_that_names_key_value_source_and_rule(faults, override):
    key = override.partition("=")[0]
    (fault,) = faults(override)
    assert fault.startswith(f"{key} = ")
    assert "(from --set): " in fault
    assert "must be" in fault


def test_a_stream_has_no_forecast(faults):
    (fault,) = faults("run.plan=first", "run.trigger=available-now")
    assert fault.startswith('run.plan = "first" (from --set): must be none where run.trigger')


def test_several_faults_are_listed_at_once(faults, tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("notes: {limit: 0}\nentities: {min_score: 2, min_scor: 1}\n")
    found = faults("run.partitions=no", "model", config=config, preset="mimic5")
    assert len(found) == 6
    message = str(SettingsError(*found))
    assert all(f"\n  - {fault}" in message for fault in found)
    assert f"notes.limit = 0 (from {config}): must be a whole number of at least 1" in message
    assert "--preset 'mimic5': must be one of mimic3, mimic4; did you mean mimic4" in message


@pytest.mark.parametrize(
    ("override", "guess"),
    [
        ("notes.limt=5", "notes.limit"),
        ("limit=5", "notes.limit"),
        ("notes.min_score=0", "entities.min_score"),
        ("run.Partitions=5", "run.partitions"),
        ("entitys={min_score: 0}", "entities"),
        ("notes.columns.chart_time=x", "notes.columns.charttime"),
        ("output.schema_name=x", "output.schema"),
    ],
)
def test_unknown_keys_are_refused_with_a_guess(faults, override, guess):
    (fault,) = faults(override)
    assert f"there is no such setting; did you mean {guess}" in fault


def test_an_unknown_key_that_is_like_none_lists_what_there_is(faults):
    (fault,) = faults("entities.zzzzzz=1")
    assert fault.endswith("there is entities.labels, entities.min_score")


def test_a_dotted_key_in_a_file_is_explained(faults, tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("notes.limit: 5\n")
    (fault,) = faults(config=config)
    assert fault.startswith("notes.limit = 5")
    assert "write `notes:` and, indented below it, `limit:`" in fault


def test_messages_hide_what_may_be_the_hash_key(faults):
    key = "ab" * 32
    found = faults(
        f"security.hash_key={key}",
        f"security.hash_key_file={key}",
        f"hash_key={key}",
        f"other={{hash_key: {key}}}",
        f"security.hash_key {key}",
    )
    assert len(found) == 5
    assert key[:8] not in "".join(found)
    assert key[:8] not in faults(f"security={key}")[0]


def test_long_values_are_cut(faults):
    (fault,) = faults(f"notes.format={'x' * 1000}")
    assert len(fault) < 300


def test_parts_of_a_source_that_exclude_each_other_are_refused(faults):
    day = ("notes.since=2150-01-02", "notes.until=2150-01-02")
    (fault,) = faults(*day)
    assert "must be later than notes.since 2150-01-02 00:00:00" in fault
    for other in ("notes.limit=5", "notes.since=2150-01-02", "notes.until=2150-01-02"):
        (fault,) = faults("notes.changed_only=true", other)
        assert f"takes no {other.partition('=')[0]} beside it" in fault
