"""Where MLflow keeps runs and models, and how it is asked.

Owns where our own store lies. Turns off MLflow's telemetry, and makes calls to a server that is
down fail in seconds and not in minutes. Sets no global run or address of MLflow, so that a caller's
own MLflow session is left alone.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from udfs.errors import ClinspanError, InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE = Path("build/mlflow")  # below the current folder, unless MLFLOW_TRACKING_URI says otherwise
# MLflow reads these when it is imported or when it sends a request. By default it makes 7 tries of
# 120 s each.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class TrackingError(ClinspanError):
    """MLflow's server or store cannot be asked (exit code 1)."""


def tracking_address() -> str:
    """$MLFLOW_TRACKING_URI, else the address of our own store, which need not exist."""
    own = f"sqlite:///{(STORE / 'mlflow.db').resolve()}"
    return os.environ.get("MLFLOW_TRACKING_URI") or own


def own_artifacts() -> str | None:
    """Where artifacts of our own store go; None where MLFLOW_TRACKING_URI names another store."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    return (STORE.resolve() / "artifacts").as_uri()


def open_client(make_store: bool = True) -> MlflowClient:
    """A client of the store at `tracking_address`.

    Raises:
        InputError: the address is our own store, which does not exist, and `make_store` is false.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        if not make_store and not (STORE / "mlflow.db").is_file():
            raise InputError(
                f"there is no MLflow store at {STORE.resolve()}: set MLFLOW_TRACKING_URI, or start "
                "in the folder where models were registered"
            )
        STORE.mkdir(parents=True, exist_ok=True)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for chatty in ("alembic", "mlflow.store.db"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=tracking_address())


@contextmanager
def tracking_faults(what: str) -> Iterator[None]:
    """Turns errors of MLflow into ours.

    Raises:
        InputError: MLflow has no `what`.
        TrackingError: MLflow fails in any other way.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _NOT_THERE:
            place = _without_password(tracking_address())
            raise InputError(f"MLflow at {place} has no {what}") from None
        raise _away(what, str(error.error_code)) from None
    except OSError as error:
        raise _away(what, type(error).__name__) from None


def _away(what: str, why: str) -> TrackingError:
    place = _without_password(tracking_address())
    return TrackingError(
        f"MLflow at {place} could not be asked for {what} ({why}): is its server running, and "
        "MLFLOW_TRACKING_URI right?"
    )


def _without_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)
