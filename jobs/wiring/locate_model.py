"""`--model models:/NAME@ALIAS` → the folder of one fixed version, found once, on the driver."""

from __future__ import annotations

from conf.setting_sections import REGISTRY
from conf.settings import Settings
from jobs.display.show_run import console


def locate_model(settings: Settings) -> tuple[Settings, str | None]:
    """The settings with the folder of the package, and the version in the registry, if any.

    An alias that moves while the run is at work changes nothing for it. Raises InputError where the
    registry has no such model, TrackingError where it cannot be asked.
    """
    asked = str(settings.model.folder)
    if not asked.startswith(REGISTRY):
        return settings, None
    # MLflow takes seconds to import: only a model of the registry waits for it.
    from training.tracking.model_registry import fetch_package

    found = fetch_package(asked)
    console.print(f"{asked} is {found.address} ({found.manifest.name})", markup=False)
    model = settings.model.model_copy(update={"folder": found.folder})
    return settings.model_copy(update={"model": model}), found.address
