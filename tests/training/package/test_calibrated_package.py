import pytest

from training.corpora.seen_parts import refuse_seen_part
from training.package.calibrated_package import write_calibrated
from udfs.annotation.note_annotation import find_entities
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.score_calibration import ScoreCalibration
from udfs.errors import InputError
from udfs.package.model_package import load_manifest

CALIBRATION = ScoreCalibration(2.0, {"Chemical": -1.0, "Disease": -0.5})
TEXT = "Aspirin caused severe headache. No fever."


def test_only_scores_differ_and_the_card_says_so(tiny_package, tmp_path):
    target = tmp_path / "out" / "calibrated"
    written = write_calibrated(tiny_package, target, CALIBRATION)
    assert load_manifest(target) == written
    assert written.calibration == CALIBRATION
    assert written.fingerprint != load_manifest(tiny_package).fingerprint
    card = (target / "README.md").read_text(encoding="utf-8")
    assert "temperature 2.00, log-odds Chemical -1.00, Disease -0.50" in card
    assert "not calibrated" not in card
    before, after = (
        find_entities(TEXT, TokenClassifier.load(folder, "cpu", "float32"))
        for folder in (tiny_package, target)
    )
    assert [(s.begin, s.end, s.label) for s in before] == [(s.begin, s.end, s.label) for s in after]
    assert len(before) == 3
    assert all(a.score < b.score for a, b in zip(after, before, strict=True))
    again = write_calibrated(target, tmp_path / "again", ScoreCalibration())
    assert again.fingerprint == load_manifest(tiny_package).fingerprint
    assert "not calibrated" in (tmp_path / "again" / "README.md").read_text(encoding="utf-8")


def test_nothing_is_written_over(tiny_package, tmp_path):
    with pytest.raises(InputError, match="exists"):
        write_calibrated(tiny_package, tiny_package, CALIBRATION)
    assert [p.name for p in tiny_package.parent.iterdir()] == [tiny_package.name]


def test_a_part_that_the_model_was_trained_on_is_refused(tiny_package, tiny_bc5cdr, edit_digest):
    corpus = f"bc5cdr:{tiny_bc5cdr}"
    for parts in (["devel"], ["train", "devel"]):
        manifest = edit_digest(tiny_package, corpus, parts)
        with pytest.raises(InputError, match="was trained on the"):
            refuse_seen_part(manifest, corpus, "devel")
    refuse_seen_part(load_manifest(tiny_package), corpus, "devel")


@pytest.fixture
def edit_digest():
    from dataclasses import replace

    from training.corpora.documents import digest_documents
    from training.corpora.form_table import read_corpus

    def edit(package, corpus, parts):
        digest = digest_documents(read_corpus(corpus, parts))
        return replace(load_manifest(package), training_data_digest=digest)

    return edit
