"""Where a spaCy pipeline lies. Imports neither spaCy nor the pipeline."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SPACY_CONFIG = "config.cfg"


def find_pipeline(name: str) -> Path | None:
    """The folder that holds a pipeline's `config.cfg`, or None where there is no pipeline.

    `name` is that folder, the folder above it (as in spaCy's packages), or an installed package,
    which is not imported.
    """
    places = [Path(name)]
    if name.isidentifier() and not places[0].exists():
        spec = importlib.util.find_spec(name)
        places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    for place in places:
        inner = sorted(place.glob(f"*/{SPACY_CONFIG}"))
        for file in (place / SPACY_CONFIG, *inner[:1]):
            if file.is_file():
                return file.parent
    return None
