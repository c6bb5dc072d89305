"""The families of encoders that the Torch engine runs, as one table: a new family is one entry.

All of them are the Transformer of BERT (layer norm after each half of a layer). They differ in the
keys of `config.json`, in the names of their tensors and in the few numbers that
`encoder_config` reads. Names and keys are those of the Hugging Face library. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Family:
    """One family.

    Args:
        model_type: what `config.json` calls it.
        architecture: the class of `transformers` that opens its token classifiers.
        prefix: how the names of all tensors begin, except the head's.
        layer_prefix: how the names of a layer's tensors begin. `{0}` is the number of the layer's
            group (the layer's own number where layers share no weights), `{1}` its place in the
            group.
        layer: what a layer is made of, in our words → name in the file.
        projection: the tensor between embeddings and layers, where they differ in size.
        keys: numbers of `encoder_config.EncoderConfig` → key of `config.json`: those that have
            another name there, and those that only some families have.
        constants: numbers that this family does not write into `config.json`.
        activation_key: the key of `config.json` that names the activation.
        activation: the activation if that key is missing.
        dropout_keys: the keys of `config.json` that hold rates of dropout, for training.
        positions_after_padding: whether the first position is the padding's id plus one.
    """

    model_type: str
    architecture: str
    prefix: str
    layer_prefix: str
    layer: Mapping[str, str]
    projection: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    activation_key: str = "hidden_act"
    activation: str = "gelu"
    dropout_keys: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    positions_after_padding: bool = False


_BERT = Family(
    model_type="bert",
    architecture="BertForTokenClassification",
    prefix="bert.",
    layer_prefix="bert.encoder.layer.{0}.",
    layer={
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attended": "attention.output.dense",
        "attended_norm": "attention.output.LayerNorm",
        "inner": "intermediate.dense",
        "outer": "output.dense",
        "outer_norm": "output.LayerNorm",
    },
)

_ROBERTA = replace(
    _BERT,
    model_type="roberta",
    architecture="RobertaForTokenClassification",
    prefix="roberta.",
    layer_prefix="roberta.encoder.layer.{0}.",
    positions_after_padding=True,
)

_DISTILBERT = Family(
    model_type="distilbert",
    architecture="DistilBertForTokenClassification",
    prefix="distilbert.",
    layer_prefix="distilbert.transformer.layer.{0}.",
    layer={
        "query": "attention.q_lin",
        "key": "attention.k_lin",
        "value": "attention.v_lin",
        "attended": "attention.out_lin",
        "attended_norm": "sa_layer_norm",
        "inner": "ffn.lin1",
        "outer": "ffn.lin2",
        "outer_norm": "output_layer_norm",
    },
    keys={
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
    },
    constants={"type_vocab_size": 0, "layer_norm_eps": 1e-12},
    activation_key="activation",
    dropout_keys=("dropout", "attention_dropout"),
)

_ALBERT = Family(
    model_type="albert",
    architecture="AlbertForTokenClassification",
    prefix="albert.",
    layer_prefix="albert.encoder.albert_layer_groups.{0}.albert_layers.{1}.",
    layer={
        "query": "attention.query",
        "key": "attention.key",
        "value": "attention.value",
        "attended": "attention.dense",
        "attended_norm": "attention.LayerNorm",
        "inner": "ffn",
        "outer": "ffn_output",
        "outer_norm": "full_layer_layer_norm",
    },
    projection="albert.encoder.embedding_hidden_mapping_in",
    activation="gelu_new",
    keys={
        "embedding_size": "embedding_size",
        "num_hidden_groups": "num_hidden_groups",
        "inner_group_num": "inner_group_num",
    },
    dropout_keys=(
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout_prob",
    ),
)

FAMILIES = {family.model_type: family for family in (_ALBERT, _BERT, _DISTILBERT, _ROBERTA)}
