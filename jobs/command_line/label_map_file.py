"""The file of `--label-map`: strict YAML, corpus → label → label of the model, or null."""

from __future__ import annotations

from pathlib import Path

from conf.strict_yaml import parse_mapping
from training.corpora.corpus_mix import LabelMap, parse_label_maps
from udfs.errors import InputError


def read_label_maps(file: Path | None) -> dict[str, LabelMap]:
    """The label maps in a file; empty where `file` is None.

    Raises:
        InputError: the file cannot be read or has another shape.
        SettingsError: it is not YAML.
    """
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--label-map {file} cannot be read ({type(error).__name__})") from None
    return parse_label_maps(parse_mapping(text, str(file)))
