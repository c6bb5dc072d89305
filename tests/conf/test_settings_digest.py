import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

import conf.settings
from conf.entity_types import load_entity_types
from conf.faults import section_class, walk_settings
from conf.settings import Settings, load_settings

PLACES = {"notes.path": "notes.parquet", "output.path": "root"}
FIELDS = dict(walk_settings(Settings))


_names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).filter(
    str.strip
)
_some = st.lists(_names, min_size=1, max_size=3, unique=True)
_flags = st.fixed_dictionaries(
    {},
    optional={
        "notes.limit": st.integers(1, 2**40),
        "notes.columns.charttime": _some | _names,
        "notes.columns.withdrawn": _names,
        "entities.labels": _some,
        "entities.min_score": st.floats(0, 1),
        "run.app_name": _names,
        "run.slice_seconds": st.floats(0, exclude_min=True, allow_infinity=False),
        "run.partitions": st.integers(1) | st.just("auto"),
    },
)


@hypothesis.settings(max_examples=50, deadline=None)  # PyYAML is slow
@given(flags=_flags)
def test_shown_settings_read_back_as_they_were(tmp_path_factory, flags):
    settings = load_settings("mimic3", None, [], {**PLACES, **flags})
    config = tmp_path_factory.getbasetemp() / "shown.yaml"
    config.write_text(settings.to_yaml(), encoding="utf-8")
    again = load_settings("mimic4", config, [], {})
    assert again == settings
    assert again.digest() == settings.digest()


CHANGES = {
    "notes.format": "json",
    "notes.columns.note_id": "ID",
    "notes.limit": 3,
    "notes.since": "2150-01-01",
    "notes.until": "2150-01-01",
    "model.engine": "spark_nlp",
    "model.device": "cpu",
    "model.precision": "float32",
    "model.tokens_per_batch": 1,
    "model.buffer_windows": 1,
    "entities.labels": ["Chemical"],
    "entities.min_score": 0.5,
    "run.partitions": 3,
    "run.slice_seconds": 1,
    "run.max_quarantined_fraction": 0,
    "run.max_note_characters": 10,
}
PLACES_AND_NAMES = {
    "notes.path": "elsewhere",
    "output.path": "elsewhere",
    "model.folder": "elsewhere",
    "model.distribute": "ship",
    "model.hang_seconds": 1,
    "notes.withdrawn_list": "elsewhere",
    "notes.changed_only": True,
    "run.trigger": "available-now",
    "run.checkpoint": "elsewhere",
    "run.wait_seconds": 1,
    "run.app_name": "other",
    "run.show_entities": 5,
    "run.plan": "first",
    "run.price_per_hour": 1,
    "security.hash_key_file": "elsewhere",
}


def test_every_change_has_a_digest_of_its_own(load):
    digests = {load(**{key: value}).digest() for key, value in CHANGES.items()}
    assert len(digests | {load().digest()}) == len(CHANGES) + 1


@pytest.mark.parametrize(("key", "value"), PLACES_AND_NAMES.items())
def test_places_and_names_do_not_change_the_digest(load, key, value):
    assert load(**{key: value}).digest() == load().digest()


def test_the_digest_tests_cover_every_setting():
    tested = {*CHANGES, *PLACES_AND_NAMES, "notes.table", "output.schema"}
    assert {k for k in FIELDS if not k.startswith("notes.columns")} - tested == {
        key for key, field in FIELDS.items() if section_class(field) and key != "notes.columns"
    }


def test_the_digest_sees_meaning_not_spelling(load):
    assert load("entities.min_score=1").digest() == load("entities.min_score=1.0").digest()
    assert load("entities.labels=[A, B]").digest() == load("entities.labels=[B, A]").digest()
    one, listed = "notes.columns.charttime=charttime", "notes.columns.charttime=[charttime]"
    assert load(one).digest() == load(listed).digest()


def test_the_digest_sees_the_map_of_entity_types(load, monkeypatch):
    before = load().digest()
    other = {**load_entity_types(), "chemical": "poison"}
    monkeypatch.setattr(conf.settings, "load_entity_types", lambda: other)
    assert load().digest() != before
