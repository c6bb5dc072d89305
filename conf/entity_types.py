"""Reads the one vocabulary of entity types that all models share.

Owns: the reading of `entity_types.yaml`. Does not know which labels a model has.
"""

from importlib.resources import files

from conf.faults import SettingsError
from conf.strict_yaml import parse_mapping


def load_entity_types() -> dict[str, str]:
    """Returns {label in lower case: entity type}.

    Case does not matter in a label, and an unknown label is its own type in lower case: look a
    label up as `types.get(label.lower(), label.lower())`.
    """
    name = "entity_types.yaml"
    return _invert(
        parse_mapping(files("conf").joinpath(name).read_text(encoding="utf-8"), name), name
    )


def _invert(labels_by_type: dict[str, object], source: str) -> dict[str, str]:
    types: dict[str, str] = {}
    for entity_type, labels in labels_by_type.items():
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            rule = f"must be a list of labels; write `{entity_type}: [label]`"
            raise SettingsError(f"{source}: {entity_type} {rule}")
        for label in (entity_type, *labels):
            other = types.setdefault(label.lower(), entity_type)
            if other != entity_type:
                rule = f"stands under {other} and {entity_type}; keep one"
                raise SettingsError(f"{source}: the label {label} {rule}")
    return types
