"""The errors of the project: one root and named leaves. Messages never hold note text."""


class ClinspanError(Exception):
    """Root of every error that the project raises on purpose."""


class InputError(ClinspanError):
    """The settings or the input cannot be used; nothing was written (exit code 2)."""


class ModelPackageError(InputError):
    """A model package is missing, altered, damaged or of an architecture that we do not run."""


class PredictionError(ClinspanError):
    """A window has no prediction, or the engine failed while it made one (exit code 1)."""


class HubError(ClinspanError):
    """A hub of models could not be reached, or it refused (exit code 1)."""


class RootBusyError(ClinspanError):
    """Another run keeps committing to the same root (exit code 4)."""
