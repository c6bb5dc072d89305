"""The ONNX form of a package: the same logits at any size, and the files beside the graph."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from transformers import AutoModelForTokenClassification

from training.package.onnx_export import INPUTS, OPSET, OUTPUT, export_package
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import (
    CONFIG,
    EXPORT_DIGESTS,
    MANIFEST,
    check_export,
    load_manifest,
    sha256_of,
    write_manifest,
)


@pytest.fixture
def exported(tiny_package: Path, tmp_path: Path) -> Path:
    export_package(tiny_package, tmp_path / "cache" / "onnx")
    return tmp_path / "cache" / "onnx"


def test_the_graph_gives_the_models_logits_at_other_sizes(
    tiny_package: Path, exported: Path
) -> None:
    graph = onnx.load(exported / "model.onnx")
    assert [entry.name for entry in graph.graph.input] == list(INPUTS)
    assert [entry.name for entry in graph.graph.output] == [OUTPUT]
    assert {opset.version for opset in graph.opset_import if not opset.domain} == {OPSET}
    model = AutoModelForTokenClassification.from_pretrained(tiny_package, dtype=torch.float32)
    evaluator = ReferenceEvaluator(graph)
    for batch, length in ((1, 1), (3, 5), (2, 32)):
        ids = torch.randint(5, 40, (batch, length))
        mask = torch.ones_like(ids)
        mask[-1, (length + 1) // 2 :] = 0
        with torch.inference_mode():
            expected = model.eval()(input_ids=ids, attention_mask=mask).logits.numpy()
        values = (ids, mask, torch.zeros_like(ids))
        feed = {name: value.numpy() for name, value in zip(INPUTS, values, strict=True)}
        [found] = evaluator.run(None, feed)
        read = mask.numpy().astype(bool)
        np.testing.assert_allclose(found[read], expected[read], atol=1e-4)


def test_vocabulary_and_labels_stand_at_their_ids(tiny_package: Path, exported: Path) -> None:
    def lines(name: str) -> list[str]:
        return (exported / "assets" / name).read_text(encoding="utf-8").splitlines()

    assert lines("vocab.txt") == (tiny_package / "vocab.txt").read_text().splitlines()
    assert lines("labels.txt") == list(load_manifest(tiny_package).labels)
    assert sorted(path.name for path in exported.parent.iterdir()) == ["onnx"]


def test_the_digests_beside_the_graph_are_those_of_all_files(exported: Path) -> None:
    digests = json.loads((exported / EXPORT_DIGESTS).read_text())
    assert set(digests) == {"model.onnx", "assets/vocab.txt", "assets/labels.txt"}
    check_export(exported)
    (exported / "assets" / "labels.txt").write_text("O\nB-Other\n")
    with pytest.raises(ModelPackageError, match="altered or cut off"):
        check_export(exported)


def test_keys_of_the_config_that_bring_code_are_not_read(
    tiny_package: Path, tmp_path: Path
) -> None:
    """With `_attn_implementation`, transformers would load a kernel by that name from a hub."""
    path = tiny_package / CONFIG
    evil = {"_attn_implementation": "somebody/kernel", "quantization_config": {"quant_method": "x"}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **evil}))
    manifest = json.loads((tiny_package / MANIFEST).read_text())
    manifest["files"][CONFIG] = sha256_of(path)
    (tiny_package / MANIFEST).write_text(json.dumps(manifest))
    export_package(tiny_package, tmp_path / "onnx")
    check_export(tmp_path / "onnx")


def test_a_folder_that_another_process_made_meanwhile_stays(
    tiny_package: Path, tmp_path: Path
) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_text("theirs")
    export_package(tiny_package, tmp_path / "onnx")
    assert (tmp_path / "onnx" / "model.onnx").read_text() == "theirs"
    assert not list(tmp_path.glob(".onnx.*"))


def test_a_damaged_package_writes_nothing(tiny_package: Path, tmp_path: Path) -> None:
    (tiny_package / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ModelPackageError, match="sha256"):
        export_package(tiny_package, tmp_path / "out" / "onnx")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_told(tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="name a folder that you may write"):
        export_package(tiny_package, tmp_path / "file" / "onnx")


def test_tags_that_are_not_bio_are_refused(tiny_package, tmp_path):
    manifest = load_manifest(tiny_package)
    write_manifest(tiny_package, dataclasses.replace(manifest, label_scheme="plain"))
    with pytest.raises(ModelPackageError, match="a bert model with plain labels"):
        export_package(tiny_package, tmp_path / "out")
    assert not (tmp_path / "out").exists()
