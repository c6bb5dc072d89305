"""Where the model package that comes with the project lies.

`model.folder` of `defaults.yaml` names it. Code, notebooks and tests ask here, so changing that
line is enough to ship another package.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel

from conf.strict_yaml import parse_mapping

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class _Model(BaseModel):
    folder: Path


class _Defaults(BaseModel):
    model: _Model


@cache
def shipped_model() -> Path:
    """Returns the folder of the shipped package; a clone holds it, an installed wheel does not."""
    name = "defaults.yaml"
    defaults = parse_mapping(files("conf").joinpath(name).read_text(encoding="utf-8"), name)
    return PROJECT_ROOT / _Defaults.model_validate(defaults).model.folder
