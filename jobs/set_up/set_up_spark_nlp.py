"""Put the jars of Spark NLP into this environment's own Spark; `make spark-nlp` runs it, once.

jobs/set_up/set_up_spark.py finds, checks and installs the jars; conf/spark_nlp_jars.py lists them.
spark-submit starts the JVM before any of our Python runs, so no job can add the jars later, and no
job downloads anything.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence

from conf.spark_nlp_jars import LEFT_OUT, SPARK_LINE, SPARK_NLP_JARS
from jobs.command_line.exit_codes import exit_code
from jobs.set_up.set_up_spark import SetUpError, find_spark_home, ivy_parser, set_up

JOB = "set_up_spark_nlp"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; exit codes: 0 done, 1 Ivy gave no answer in time, 2 set-up impossible."""
    options = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _set_up(options.ivy_settings))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    return ivy_parser("Put the jars of Spark NLP (151 MB) into this environment.")


def _set_up(ivy_settings: str | None) -> None:
    spark_home = find_spark_home()
    _refuse_other_lines(importlib.metadata.version("pyspark"))
    changed = set_up(spark_home, SPARK_NLP_JARS, LEFT_OUT, ivy_settings)
    if changed:
        print(f"Spark NLP: {', '.join(changed)}")


def _refuse_other_lines(spark_version: str) -> None:
    if not spark_version.startswith(f"{SPARK_LINE}."):
        raise SetUpError(
            f"Spark NLP's jars are for Spark {SPARK_LINE}, and this environment has pyspark "
            f"{spark_version}: a pair with it has not been run by us; use LANE=default"
        )


if __name__ == "__main__":
    sys.exit(main())
