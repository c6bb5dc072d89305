"""A random model of a few thousand weights of each family, with the tokenizer that the family has.

The BPE and Unigram vocabularies are learnt from invented text.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import (
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForTokenClassification

FAMILIES = ("albert", "bert", "distilbert", "roberta")
TEXTS = [
    "Aspirin 81 mg daily for severe headache, no fever.",
    "Ibuprofen caused a rash in two patients (of 20) with anemia.",
    "The study of zoster and pneumonia: 5% were given heparin.",
    "No aspirin, no ibuprofen; fever and headache since 12/3.",
] * 10
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["aspirin", "asp", "##irin", "head", "##ache", "fever", "the", "no", "and", "mg", "rash"]
_BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_ALBERT_SPECIAL = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
_WIDE = ("classifier.weight", "word_embeddings", "hidden_mapping")
_NAMES = {"num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
_NAMES |= {"hidden_size": "dim", "intermediate_size": "hidden_dim"}


def make_tokenizer(family: str) -> Tokenizer:
    """As a hub has it: with truncation and padding on."""
    if family == "roberta":
        tokenizer = _byte_level_bpe()
    elif family == "albert":
        tokenizer = _unigram()
    else:
        tokenizer = _word_piece()
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return tokenizer


def _word_piece() -> Tokenizer:
    pieces = [*_BERT_SPECIAL, *WORDS, *LETTERS, *(f"##{c}" for c in LETTERS), *".,;:-()%/"]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(_BERT_SPECIAL)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def _byte_level_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=_ROBERTA_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return tokenizer


def _unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
        ]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=90,
        special_tokens=_ALBERT_SPECIAL,
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def write_tiny_family(
    folder: Path,
    family: str,
    tags: Sequence[str] | None = None,
    positions: int = 40,
    **changes: int,
) -> Path:
    """A base model; with tags a token classifier whose random weights give varied tags."""
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(family)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "name_or_path": "somewhere"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
    }
    if family == "distilbert":
        shape = {_NAMES[key]: value for key, value in shape.items()}
    if family == "albert":
        shape |= {"embedding_size": 16, "num_hidden_groups": 1}
    if family == "roberta":
        shape |= {"type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}
        positions += 2
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        vocab_size=tokenizer.get_vocab_size() + 3,
        max_position_embeddings=positions,
        **shape | changes,
    )
    if tags is None:
        AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
        return folder
    config.id2label = dict(enumerate(tags))
    config.label2id = {tag: number for number, tag in enumerate(tags)}
    model = AutoModelForTokenClassification.from_config(config)
    generator = torch.Generator().manual_seed(3)
    for name, weights in model.named_parameters():
        shift = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        # Deep in a network of large random weights all positions come to look alike.
        scale = 1.0 if any(part in name for part in _WIDE) else 0.1
        weights.data = shift + scale * torch.randn(weights.shape, generator=generator)
    model.save_pretrained(folder)
    return folder
