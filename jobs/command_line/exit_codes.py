"""The one ending of all jobs: exit codes, and what stderr says when a job fails.

No message holds note text. Our own errors never do. Of a foreign error only the class and the
frames are shown, of one of the operating system also its number and its path.
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
# What a worker of ours says on purpose comes inside an error of Spark's.
_WORKER_SAYS = re.compile(r"udfs\.errors\.\w+: (.+)")
_FULL_DISK = "No space left on device"
_WORKER_LACKS = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


def exit_code(job: str, work: Callable[[], int | None]) -> int:
    """Runs a job to its exit code; every job ends here.

    Args:
        job: its name, for messages.
        work: what it does; None counts as done.
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
    except BaseException as error:  # a panic of the tokenizer is no Exception, and quotes its text
        if said := _said_by_worker(str(error)) or _said_by_system(error):
            return fail(job, FAILED, said)
        frames = "".join(traceback.format_tb(error.__traceback__))
        return fail(job, FAILED, f"{_name_of(error)}; what is committed stays, run again\n{frames}")


def fail(job: str, code: int, message: str) -> int:
    """Says why a job ends with this code, and returns it."""
    print(f"{job}: error: {plain(message)}", file=sys.stderr)
    return code


def plain(text: str) -> str:
    """Text that cannot drive a terminal: names of columns and files are not chosen by its user."""
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text
    )


def _name_of(error: BaseException) -> str:
    """The class of an error, as Spark calls it if Spark is in use; without its message."""
    if "pyspark" not in sys.modules or not isinstance(error, Exception):
        return type(error).__name__
    from pipelines.spark.error_names import error_class  # not every job needs Spark

    return error_class(error)


def _said_by_system(error: BaseException) -> str | None:
    """The operating system's words for the number of an error, and the path that it names."""
    if not isinstance(error, OSError) or error.errno is None or error.filename is None:
        return None
    return f"{os.fsdecode(error.filename)}: {os.strerror(error.errno)}"


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
