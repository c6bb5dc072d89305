"""The one ending of all jobs: exit codes, and what stderr says when a job fails.

No message holds note text. Our own errors never do. Of a foreign error only the class and the
stack frames are shown; of an error of the operating system only its path and its meaning.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
import unicodedata
from collections.abc import Callable

from conf.faults import SettingsError
from conf.version import VERSION
from udfs.errors import ClinspanError, InputError, RootBusyError

DONE, FAILED, BAD_INPUT, QUARANTINED, BUSY, VIOLATED = range(6)
# One of our errors, raised in a worker, comes inside the message of a Spark error.
_WORKER_SAYS = re.compile(r"udfs\.errors\.\w+: (.+)")
_FULL_DISK = "No space left on device"
_WORKER_LACKS = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


def exit_code(job: str, work: Callable[[], int | None]) -> int:
    """Runs a job and returns its exit code; every job ends here.

    Args:
        job: its name, for messages.
        work: runs the job and returns its exit code; None counts as done.
    """
    try:
        return work() or DONE
    except (SettingsError, InputError) as error:
        return fail(job, BAD_INPUT, str(error))
    except RootBusyError as error:
        return fail(job, BUSY, str(error))
    except ClinspanError as error:
        return fail(job, FAILED, str(error))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a tokenizer panic is not an Exception, and quotes note text
        if said := _said_by_worker(str(error)) or _said_by_system(error):
            return fail(job, FAILED, said)
        frames = "".join(traceback.format_tb(error.__traceback__))
        return fail(job, FAILED, f"{_name_of(error)}; what is committed stays, run again\n{frames}")


def fail(job: str, code: int, message: str) -> int:
    """Prints to stderr why a job ends with this code; returns the code."""
    print(f"{job}: error: {plain(message)}", file=sys.stderr)
    return code


def plain(text: str) -> str:
    """Text with control characters escaped.

    Names of columns and files come from others, and could otherwise control the user's terminal.
    """
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text
    )


def _name_of(error: BaseException) -> str:
    """The class of an error without its message; Spark's name for it if Spark is in use."""
    if "pyspark" not in sys.modules or not isinstance(error, Exception):
        return type(error).__name__
    from pipelines.spark.error_names import error_class  # not every job needs Spark

    return error_class(error)


def _said_by_system(error: BaseException) -> str | None:
    """The path of an error of the operating system, and the meaning of its number; else None."""
    if not isinstance(error, OSError) or error.errno is None or error.filename is None:
        return None
    return f"{os.fsdecode(error.filename)}: {os.strerror(error.errno)}"


def _said_by_worker(error: str) -> str | None:
    """The part of a Spark message that names a cause which a user can remove; else None."""
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
