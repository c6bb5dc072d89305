"""A tiny random encoder, an invented corpus, and a package trained on it; made once."""

import pytest
import torch

from training.corpora.form_table import read_corpus
from training.fine_tuning.epochs import fine_tune
from training.package.package_writing import write_package
from training.recipes.recipe import Recipe
from udfs.decoding.label_scheme import bio_labels
from udfs.package.model_package import ModelManifest

LABELS = ["Chemical", "Disease"]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory, load_tiny):
    return load_tiny("tiny_bert").write_tiny_bert(tmp_path_factory.mktemp("base") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_bc5cdr(tmp_path_factory, load_tiny):
    return load_tiny("tiny_bert").write_tiny_bc5cdr(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def tiny_documents(tiny_bc5cdr):
    return read_corpus(f"bc5cdr:{tiny_bc5cdr}", ["train"])


@pytest.fixture(scope="session")
def tiny_recipe():
    return Recipe(epochs=20, learning_rate=0.01, max_wordpieces=32, overlap=8)


@pytest.fixture(scope="session")
def tiny_model(tiny_bert, tiny_documents, tiny_recipe):
    return fine_tune(tiny_bert, tiny_documents, LABELS, tiny_recipe).model


@pytest.fixture
def tiny_package(tmp_path, tiny_bert, tiny_model):
    """A package that has learnt the tiny corpus by heart."""
    folder = tmp_path / "models" / "tiny"
    manifest = ModelManifest("tiny", bio_labels(LABELS), {}, max_wordpieces=32, overlap=8)
    write_package(folder, tiny_model, tiny_bert, manifest, {"Command": "`train`"})
    return folder
