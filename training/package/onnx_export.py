"""Model package → a folder that Spark NLP imports: `model.onnx`, `assets/vocab.txt`, `labels.txt`.

The graph is that of transformers' BertForTokenClassification in 32 bits with plain ("eager")
attention, in ONNX opset 17, for any batch size and length. Spark NLP 5.5 and its ONNX Runtime read
this form. Knows nothing of Spark; `jobs/export_model.py` decides where the folder is kept.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from transformers import BertForTokenClassification
from transformers.utils import logging as transformers_logging

from udfs.decoding.label_scheme import BIO
from udfs.errors import InputError, ModelPackageError
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import (
    CONFIG,
    EXPORT_DIGESTS,
    TOKENIZER,
    load_manifest,
    sha256_of,
)
from udfs.spark_nlp.vocabulary import read_vocabulary

OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "logits"


def export_package(package: Path, target: Path) -> None:
    """Writes the folder, whole or not at all.

    Args:
        package: a model package.
        target: the folder to make; if another process makes it meanwhile, that one stays.

    Raises:
        ModelPackageError: the package is not usable, or Spark NLP cannot read its family, labels or
            tokenizer.
        InputError: the folder cannot be written.
    """
    manifest = load_manifest(package)
    shape = EncoderConfig.from_file(package / CONFIG)
    if (shape.model_type, manifest.label_scheme) != ("bert", BIO):
        raise ModelPackageError(
            f"{package} is a {shape.model_type} model with {manifest.label_scheme} labels, "
            "--engine spark_nlp runs bert with bio labels only; use --engine torch"
        )
    vocabulary = read_vocabulary((package / TOKENIZER).read_text(encoding="utf-8"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({type(error).__name__}): name a folder that you may write"
        ) from None
    try:
        (scratch / "assets").mkdir()
        _write_lines(scratch / "assets" / "vocab.txt", vocabulary)
        _write_lines(scratch / "assets" / "labels.txt", manifest.labels)
        _write_graph(package, shape, len(manifest.labels), scratch / "model.onnx")
        files = [path for path in sorted(scratch.rglob("*")) if path.is_file()]
        digests = {path.relative_to(scratch).as_posix(): sha256_of(path) for path in files}
        (scratch / EXPORT_DIGESTS).write_text(json.dumps(digests, indent=2), encoding="utf-8")
        scratch.chmod(0o755)
        try:
            scratch.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_lines(path: Path, lines: tuple[str, ...] | list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _write_graph(package: Path, shape: EncoderConfig, n_labels: int, path: Path) -> None:
    transformers_logging.disable_progress_bar()
    # transformers does not read config.json itself: keys such as `_attn_implementation` would make
    # it look for code of others (and fetch and run it if the package `kernels` is installed).
    config = transformers.BertConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=shape.max_position_embeddings,
        type_vocab_size=shape.type_vocab_size,
        layer_norm_eps=shape.layer_norm_eps,
        hidden_act=shape.activation,
        num_labels=n_labels,
    )
    model = BertForTokenClassification.from_pretrained(
        package,
        config=config,
        local_files_only=True,
        use_safetensors=True,
        attn_implementation="eager",
        dtype=torch.float32,
    ).eval()
    ids = torch.ones(2, 8, dtype=torch.long)
    axes = {name: {0: "batch", 1: "length"} for name in (*INPUTS, OUTPUT)}
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter warns of its successor (which needs onnxscript) and of values that it turns
        # into constants. A test compares the graph's logits with the model's at other sizes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, torch.ones_like(ids), torch.zeros_like(ids)),
            str(path),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
