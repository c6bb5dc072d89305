import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from udfs.decoding.label_scheme import bio_labels
from udfs.package.model_package import ModelManifest, sha256_of, write_manifest
from udfs.spans import Span, WindowPrediction

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["aspirin", "asp", "##irin", "head", "##ache", "fever", "the", "no", "and", "mg"]
VOCABULARY = [*SPECIAL, *WORDS, *LETTERS, *(f"##{c}" for c in LETTERS), *".,;:-()[]*_/"]
SHAPE = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
LABELS = bio_labels(["Chemical", "Disease"])
FILES = ("model.safetensors", "config.json", "tokenizer.json")


def write_tokenizer(path: Path) -> None:
    numbers = {piece: number for number, piece in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(
        models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(path))


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json as a hub has them: truncation 8 and padding on."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return path


@pytest.fixture(scope="session")
def random_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package of random weights, large enough that its tags vary. Never write to it."""
    import torch  # here, as these three take seconds that most tests of this folder need not wait
    from safetensors.torch import save_file
    from transformers import BertConfig, BertForTokenClassification

    folder = tmp_path_factory.mktemp("package")
    config = BertConfig(**SHAPE, num_labels=len(LABELS))
    model = BertForTokenClassification(config)
    generator = torch.Generator().manual_seed(3)
    for name, weights in model.named_parameters():
        shift = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        scale = 1.0 if name == "classifier.weight" else 0.3
        weights.data = shift + scale * torch.randn(weights.shape, generator=generator)
    halves = {name: t.half().contiguous() for name, t in model.state_dict().items()}
    save_file(halves, folder / "model.safetensors")
    config.save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    files = {name: sha256_of(folder / name) for name in FILES}
    manifest = ModelManifest("random", LABELS, files, max_wordpieces=16, overlap=5)
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def package(random_package: Path, tmp_path: Path) -> Path:
    """A copy of the package that a test may damage."""
    return Path(shutil.copytree(random_package, tmp_path / "package"))


@pytest.fixture
def edit_manifest() -> Callable[..., None]:
    """Changes keys of ner_model.json; a value of ... takes the key out."""

    def edit(folder: Path, **changes: object) -> None:
        path = folder / "ner_model.json"
        raw = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({k: v for k, v in raw.items() if v is not ...}))

    return edit


@pytest.fixture
def edit_config() -> Callable[..., None]:
    """Changes keys of config.json, and its sha256 in the manifest; ... takes the key out."""

    def edit(folder: Path, **changes: object) -> None:
        path = folder / "config.json"
        raw = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({k: v for k, v in raw.items() if v is not ...}))
        manifest = load_manifest_unchecked(folder)
        files = {**manifest.files, "config.json": sha256_of(path)}
        write_manifest(folder, replace(manifest, files=files))

    return edit


def load_manifest_unchecked(folder: Path) -> ModelManifest:
    raw = json.loads((folder / "ner_model.json").read_text())
    return ModelManifest(**{**raw, "labels": tuple(raw["labels"])})


class PatternClassifier:
    """Marks every word that begins with a capital letter as Name, every number as Number."""

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        return [self._predict(text) for text in texts]

    def _predict(self, text: str) -> WindowPrediction:
        found = re.finditer(r"(?P<Name>[A-Z]\w*)|(?P<Number>\d+)", text)
        spans = [Span(*m.span(), str(m.lastgroup), 1 / len(m.group())) for m in found]
        return WindowPrediction(tuple(spans), len(text.split()), text.count("?"))


@pytest.fixture(scope="session")
def pattern_classifier() -> PatternClassifier:
    return PatternClassifier()
