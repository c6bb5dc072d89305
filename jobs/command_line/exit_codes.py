"""How a job ends: the exit codes of all jobs, and what is said on stderr when it is not well.

No message holds note text: that of an error of ours does not, and of a foreign one only its class
and its frames are shown.
"""

from __future__ import annotations

import re
import sys
import traceback
import unicodedata
from collections.abc import Callable

from conf.settings import SettingsError
from conf.version import VERSION
from pipelines.spark.error_names import error_class
from udfs.errors import ClinspanError, InputError, RootBusyError

DONE, FAILED, BAD_INPUT, QUARANTINED, BUSY, VIOLATED = range(6)
# What a worker of ours says on purpose comes inside an error of Spark's.
_WORKER_SAYS = re.compile(r"udfs\.errors\.\w+: (.+)")
_FULL_DISK = "No space left on device"
_WORKER_LACKS = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


def exit_code(job: str, work: Callable[[], int]) -> int:
    """Runs a job to its exit code."""
    try:
        return work()
    except (SettingsError, InputError) as error:
        return fail(job, BAD_INPUT, str(error))
    except RootBusyError as error:
        return fail(job, BUSY, str(error))
    except ClinspanError as error:
        return fail(job, FAILED, str(error))
    except Exception as error:
        if said := _said_by_worker(str(error)):
            return fail(job, FAILED, said)
        frames = "".join(traceback.format_tb(error.__traceback__))
        return fail(
            job, FAILED, f"{error_class(error)}; what is committed stays, run again\n{frames}"
        )


def fail(job: str, code: int, message: str) -> int:
    """Says why a job ends with this code, and returns it."""
    print(f"{job}: error: {plain(message)}", file=sys.stderr)
    return code


def plain(text: str) -> str:
    """Text that cannot drive a terminal: names of columns and files are not chosen by its user."""
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text
    )


def _said_by_worker(error: str) -> str | None:
    """What a message of Spark's tells that a user can mend, without anything around it."""
    if said := _WORKER_SAYS.search(error):
        return said[1].strip()
    if _FULL_DISK in error:
        return (
            "a disk is full: that of --output, or Spark's own for shuffled rows (spark.local.dir). "
            "What is committed stays; make space and run again"
        )
    if lacks := _WORKER_LACKS.search(error):
        return (
            f"the Python of an executor has no module {lacks[1]!r}: give spark-submit --py-files "
            f"clinspan-{VERSION}.zip (`make dist`) for our modules, and the executors an "
            "environment that has the others"
        )
    return None
