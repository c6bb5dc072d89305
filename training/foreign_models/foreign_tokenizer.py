"""The tokenizer in a folder that others have written -> a folder with a `tokenizer.json`.

Older folders hold only a vocabulary, which the family's tokenizer class in transformers reads. No
code in the folder is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers

from training.package.package_writing import TOKENIZER_CONFIG, VOCABULARY
from udfs.errors import InputError
from udfs.package.model_package import TOKENIZER

# Family -> the class of transformers that reads its vocabulary, and the files of the vocabulary.
_SLOW = {
    "albert": ("AlbertTokenizer", ("spiece.model",)),
    "bert": ("BertTokenizer", (VOCABULARY,)),
    "distilbert": ("DistilBertTokenizer", (VOCABULARY,)),
    "roberta": ("RobertaTokenizer", ("vocab.json", "merges.txt")),
}


def find_tokenizer(folder: Path, model_type: str, scratch: Path) -> Path:
    """Returns a folder with the model's `tokenizer.json`.

    That is `folder` where it has one; else the file is made from the vocabulary and put into
    `scratch`.

    Raises:
        InputError: the folder holds no tokenizer that can be read.
    """
    if (folder / TOKENIZER).is_file():
        return folder
    name, files = _SLOW[model_type]
    missing = [file for file in files if not (folder / file).is_file()]
    mend = (
        f"; open it in transformers where it works, call AutoTokenizer's save_pretrained and put "
        f"the {TOKENIZER} into the folder"
    )
    if missing:
        raise InputError(f"{folder} has neither {TOKENIZER} nor {', '.join(missing)}{mend}")
    try:
        tokenizer = getattr(transformers, name).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **_case(folder)
        )
        tokenizer.save_pretrained(scratch)
    except Exception as error:  # a damaged vocabulary may raise anything
        raise InputError(
            f"{folder}: {', '.join(files)} cannot be made a {TOKENIZER} here "
            f"({type(error).__name__}){mend}"
        ) from None
    if not (scratch / TOKENIZER).is_file():
        raise InputError(f"{folder}: {', '.join(files)} is read by a slow tokenizer only{mend}")
    return scratch


def _case(folder: Path) -> dict[str, Any]:
    """The setting `do_lower_case` of a word-piece tokenizer whose folder does not give it.

    By default transformers would lower-case, and a cased model would lose its capitals. So a
    vocabulary with capitals means no lower-casing.
    """
    settings = folder / TOKENIZER_CONFIG
    vocabulary = folder / VOCABULARY
    said = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    if "do_lower_case" in said or not vocabulary.is_file():
        return {}
    pieces = vocabulary.read_text(encoding="utf-8").splitlines()
    cased = any(piece != piece.lower() for piece in pieces if not piece.startswith("["))
    return {"do_lower_case": not cased}
