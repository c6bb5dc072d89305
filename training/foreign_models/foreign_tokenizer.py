"""The tokenizer in a folder that others have written -> a folder with a `tokenizer.json`.

Older folders hold a vocabulary only; transformers' class of the family reads it. Nothing in the
folder is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers

from training.package.package_writing import TOKENIZER_CONFIG, VOCABULARY
from udfs.errors import InputError
from udfs.package.model_package import TOKENIZER

# Family -> the class of transformers that reads its vocabulary, and the files of that.
_SLOW = {
    "albert": ("AlbertTokenizer", ("spiece.model",)),
    "bert": ("BertTokenizer", (VOCABULARY,)),
    "distilbert": ("DistilBertTokenizer", (VOCABULARY,)),
    "roberta": ("RobertaTokenizer", ("vocab.json", "merges.txt")),
}


def find_tokenizer(folder: Path, model_type: str, scratch: Path) -> Path:
    """The folder whose `tokenizer.json` is the model's: `folder`, else `scratch`, where it is made.

    Raises InputError where the folder holds no tokenizer that can be read.
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
    except Exception as error:  # whatever a damaged vocabulary makes of its reader
        raise InputError(
            f"{folder}: {', '.join(files)} cannot be made a {TOKENIZER} here "
            f"({type(error).__name__}){mend}"
        ) from None
    if not (scratch / TOKENIZER).is_file():
        raise InputError(f"{folder}: {', '.join(files)} is read by a slow tokenizer only{mend}")
    return scratch


def _case(folder: Path) -> dict[str, Any]:
    """Whether a word-piece tokenizer lower-cases, where its folder does not say so.

    transformers would lower-case then, and lose the capitals of a cased model.
    """
    settings = folder / TOKENIZER_CONFIG
    vocabulary = folder / VOCABULARY
    said = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    if "do_lower_case" in said or not vocabulary.is_file():
        return {}
    pieces = vocabulary.read_text(encoding="utf-8").splitlines()
    cased = any(piece != piece.lower() for piece in pieces if not piece.startswith("["))
    return {"do_lower_case": not cased}
