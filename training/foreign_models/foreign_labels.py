"""The tags of a model that others have trained: reading them, renaming them, finding their scheme.

Reads one file, the list of tags that a user may give. `udfs.decoding.label_scheme` owns what tags
mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from udfs.decoding.label_scheme import ARGMAX, BILOU, BIO, PLAIN, LabelScheme, find_scheme
from udfs.errors import InputError
from udfs.package.model_package import NAME_RULE, is_name

_UNNAMED = re.compile(r"LABEL_\d+")
_OUTSIDE = ("0", "o", "none", "outside")


def read_tags(config: Mapping[str, Any], labels: Path | None) -> tuple[str, ...]:
    """The tags in the order of the output columns.

    Args:
        config: the model's `config.json`; its `id2label` is read where `labels` is None.
        labels: a file with one tag a line, or None.

    Raises:
        InputError: the file is not readable, or `id2label` is missing, has gaps, or has only the
            placeholders LABEL_0, LABEL_1, ….
    """
    if labels is not None:
        try:
            lines = labels.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(
                f"--labels {labels} is not readable ({type(error).__name__})"
            ) from None
        return tuple(line.strip() for line in lines if line.strip())
    named = config.get("id2label")
    mend = "give its tags with --labels FILE, one a line in the order of the output columns"
    if not isinstance(named, dict) or not named:
        raise InputError(f"the model's config.json has no id2label: {mend}")
    tags = tuple(str(named.get(str(column), "")) for column in range(len(named)))
    if "" in tags:
        raise InputError(f"id2label of config.json does not number its tags from 0 on: {mend}")
    if all(_UNNAMED.fullmatch(tag) for tag in tags):
        raise InputError(f"the tags in config.json are {tags[0]} to {tags[-1]}, no names: {mend}")
    return tags


def rename_tags(tags: Sequence[str], renames: Mapping[str, str]) -> tuple[str, ...]:
    """Renames tags (`0` -> `O`), or the labels in them (`DIS` -> `Disease` in `B-DIS`).

    Where no tag is called O afterwards, and exactly one has a name that usually means it (0, o,
    none, outside), that tag becomes O.

    Raises:
        InputError: an old name is neither a tag nor a label.
    """
    found = list(tags)
    for old, new in renames.items():
        hits = [i for i, tag in enumerate(found) if old in (tag, _label(tag))]
        if not hits:
            raise InputError(f"--rename {old}={new}: no tag {old} among {', '.join(tags)}")
        for i in hits:
            found[i] = new if found[i] == old else found[i][:2] + new
    outside = [i for i, tag in enumerate(found) if tag.lower() in _OUTSIDE]
    if "O" not in found and len(outside) == 1:
        found[outside[0]] = "O"
    return tuple(found)


def _label(tag: str) -> str | None:
    return tag[2:] if tag[1:2] == "-" else None


def check_tags(tags: Sequence[str], scheme: str | None, decoding: str = ARGMAX) -> str:
    """The scheme of the tags: the one given, else the one that the tags look like.

    Raises:
        InputError: a tag is no valid name, the tags do not fit the scheme or the decoding, or there
            is no label but O.
    """
    odd = [tag for tag in tags if not is_name(tag)]
    if odd:
        raise InputError(f"the tag {odd[0][:50]!r} {NAME_RULE}: give others with --rename")
    try:
        found = find_scheme(tags) if scheme is None else scheme
        labels = LabelScheme(tags, found, decoding).entity_labels
    except ValueError as error:
        raise InputError(
            f"{error}; --rename OLD=NEW names a tag anew, --scheme {BIO}, {BILOU} or {PLAIN} says "
            "how to read them"
        ) from None
    if not labels:
        raise InputError("the model has no label but O: it finds nothing")
    return found
