"""The vocabulary of a `tokenizer.json`, for an engine that spells word-pieces by itself."""

from __future__ import annotations

import json

from udfs.errors import ModelPackageError


def read_vocabulary(tokenizer: str) -> list[str]:
    """The word-pieces of a tokenizer, by id.

    Args:
        tokenizer: the text of a `tokenizer.json`.

    Raises:
        ModelPackageError: it is not BERT's word-piece vocabulary (`##` inside words, `[UNK]`
            for what it cannot spell), or its ids have gaps.
    """
    try:
        model = json.loads(tokenizer)["model"]
        found = (model["type"], model["continuing_subword_prefix"], model["unk_token"])
        ids = {str(piece): int(number) for piece, number in model["vocab"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelPackageError(
            "the tokenizer.json of the package holds no word-piece vocabulary: Spark NLP reads "
            "BERT's only; use --engine torch"
        ) from None
    if found != ("WordPiece", "##", "[UNK]"):
        raise ModelPackageError(
            f"the tokenizer of the package is {found}, Spark NLP reads ('WordPiece', '##', "
            "'[UNK]') only; use --engine torch"
        )
    pieces = sorted(ids, key=ids.__getitem__)
    if [ids[piece] for piece in pieces] != list(range(len(pieces))):
        raise ModelPackageError(
            f"the {len(pieces)} ids of the package's vocabulary are not 0 to {len(pieces) - 1}: "
            "Spark NLP reads it as a list without gaps; use --engine torch"
        )
    return pieces
