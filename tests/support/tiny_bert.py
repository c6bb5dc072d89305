"""A BERT encoder of a few thousand random weights, and an invented corpus that it can learn by
heart.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["aspirin", "ibuprofen", "caused", "severe", "headache", "fever", "and", "no", "in"]
WORDS += ["patients", ".", ",", "the", "study", "of", "a"]
PIECES = [*WORDS, "head", "##ache", "asp", "##irin", *"abcdefghijklmnopqrstuvwxyz"]
PIECES += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]


def write_tiny_bert(folder: Path, hidden: int = 32, positions: int = 64) -> Path:
    """The files of a base model, with weights under a `bert.` prefix, truncation on: as they come
    from a hub.
    """
    vocabulary = list(dict.fromkeys([*SPECIAL, *PIECES]))
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(
        models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "name_or_path": "somewhere",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=positions,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def pubtator_block(doc_id: str, title: str, abstract: str, mentions: list[tuple[str, str]]) -> str:
    """A PubTator document; each mention is the first place of its words in the text."""
    text = f"{title} {abstract}"
    lines = [f"{doc_id}|t|{title}", f"{doc_id}|a|{abstract}"]
    for words, label in mentions:
        begin = text.index(words)
        lines.append(f"{doc_id}\t{begin}\t{begin + len(words)}\t{words}\t{label}\tD000001")
    lines.append(f"{doc_id}\tCID\tD000001\tD000002")
    return "\n".join(lines)


def write_tiny_bc5cdr(folder: Path) -> Path:
    """BC5CDR's PubTator folder with two invented documents in each part; like the real one, no
    newline at the end.
    """
    blocks = [
        pubtator_block(
            "1",
            "Aspirin caused severe headache.",
            "No fever in the patients.",
            [("Aspirin", "Chemical"), ("severe headache", "Disease"), ("fever", "Disease")],
        ),
        pubtator_block(
            "2",
            "A study of zyxoprim.",
            "Headache and fever, no aspirin.",
            [
                ("zyxoprim", "Chemical"),
                ("Headache", "Disease"),
                ("fever", "Disease"),
                ("aspirin", "Chemical"),
            ],
        ),
    ]
    pubtator = folder / "pubtator"
    pubtator.mkdir(parents=True)
    for part in ("Training", "Development", "Test"):
        (pubtator / f"CDR_{part}Set.PubTator.txt").write_text("\n\n".join(blocks), encoding="utf-8")
    return folder
