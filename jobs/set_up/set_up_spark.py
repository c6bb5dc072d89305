"""Make this environment's own Spark ready for Delta; `make setup` runs it, and a repeat is quick.

Owns what is written into `pyspark/`: the lane's jars into `jars/` (the class path, so that no
session copies them), `spark-defaults.conf` and `log4j2.properties` into `conf/`. conf/lanes.py
lists the jars with their SHA-256, which each file must match. Knows no registry: Spark's own Ivy
finds the jars (local Maven and Ivy folders first, then what Ivy's settings name). Starts no session
and imports no pyspark.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import conf
from conf.lanes import Jar, UnsupportedSparkVersionError, lane_for
from jobs.command_line.exit_codes import exit_code
from udfs.errors import ClinspanError, InputError

CONF_SOURCES = Path(conf.__file__).parent / "spark"
CONF_FILES = ("spark-defaults.conf", "log4j2.properties")
RESOLVE_SECONDS = 600
JOB = "set_up_spark"


class SetUpError(InputError):
    """The environment cannot be made ready; the message says how to repair it."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_jars(jars: Iterable[Jar], jar_folder: Path) -> list[Jar]:
    """The jars that are not in the folder with the right content."""
    return [
        jar
        for jar in jars
        if not (jar_folder / jar.file_name).is_file()
        or sha256_of(jar_folder / jar.file_name) != jar.sha256
    ]


def stale_files(jars: Iterable[Jar], jar_folder: Path) -> list[Path]:
    """Other versions of the jars: two versions on one class path would shadow each other."""
    stale = []
    for jar in jars:
        other_version = re.compile(re.escape(jar.artifact) + r"-\d[^/]*\.jar")
        stale += [
            path
            for path in sorted(jar_folder.iterdir())
            if other_version.fullmatch(path.name) and path.name != jar.file_name
        ]
    return stale


def install_file(source: Path, target: Path) -> bool:
    """Puts a copy in place by rename; returns False if the target was already right.

    The rename keeps readers from seeing half a file. It never writes into an existing file, since
    package installers hard-link these to their cache.
    """
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out, source.open("rb") as content:
            shutil.copyfileobj(content, out)
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def resolve(
    jars: Iterable[Jar],
    left_out: Iterable[str],
    spark_home: Path,
    ivy_folder: Path,
    ivy_settings: str | None,
) -> Path:
    """Lets Spark's Ivy fetch the jars into `ivy_folder`; returns the folder of jar files.

    spark-submit resolves `--packages` before it starts the program, so the program can be empty.

    Raises:
        ClinspanError: Ivy gives no answer in time.
        SetUpError: Spark cannot resolve the jars.
    """
    program = ivy_folder / "resolve_only.py"
    program.touch()
    settings = {
        "spark.jars.ivy": str(ivy_folder),
        "spark.jars.ivySettings": ivy_settings,
        # Spark needs group:artifact; a group alone means all of its artifacts.
        "spark.jars.excludes": ",".join(x if ":" in x else f"{x}:*" for x in left_out),
    }
    options = [f"--conf={name}={value}" for name, value in settings.items() if value]
    packages = ",".join(jar.coordinate for jar in jars)
    environment = {**os.environ, "SPARK_HOME": str(spark_home), "PYSPARK_PYTHON": sys.executable}
    environment.pop("PYSPARK_DRIVER_PYTHON", None)
    submit = str(spark_home / "bin" / "spark-submit")
    try:
        done = subprocess.run(
            [submit, "--packages", packages, *options, str(program)],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=RESOLVE_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ClinspanError(f"Ivy gave no answer in {RESOLVE_SECONDS} s; try again") from None
    if done.returncode != 0:
        raise SetUpError(
            f"Spark could not resolve {packages} (exit code {done.returncode}):\n"
            f"{done.stdout[-4000:]}\n"
            "Behind a proxy, set JAVA_TOOL_OPTIONS='-Dhttps.proxyHost=H -Dhttps.proxyPort=P'; for "
            "a mirror, set CLINSPAN_IVY_SETTINGS to an Ivy settings file; with no network, put the "
            "artifacts into the local Maven repository (~/.m2). Then run `make setup` again."
        )
    return ivy_folder / "jars"


def check_resolved(jars: Iterable[Jar], resolved: Path, jar_folder: Path) -> dict[Jar, Path]:
    """Matches Ivy's files (`group_artifact-version.jar`) to `jars`.

    A file that is not among them is allowed only if Spark ships it too.

    Raises:
        SetUpError: a file is not allowed, has another SHA-256, or is missing.
    """
    expected = {f"{jar.coordinate.split(':')[0]}_{jar.file_name}": jar for jar in jars}
    found: dict[Jar, Path] = {}
    for path in sorted(resolved.glob("*.jar")):
        jar = expected.get(path.name)
        if jar is None:
            shipped = (jar_folder / path.name.split("_", 1)[1]).is_file()
            if not shipped:
                raise SetUpError(
                    f"{path.name} is a dependency that conf/lanes.py does not list; add it there"
                )
            continue
        digest = sha256_of(path)
        if digest != jar.sha256:
            raise SetUpError(
                f"{jar.coordinate} must have SHA-256 {jar.sha256}, the resolved file has {digest}; "
                "the mirror or the local repository holds another file under that name"
            )
        found[jar] = path
    absent = [jar.coordinate for jar in jars if jar not in found]
    if absent:
        raise SetUpError(f"Ivy reported success but gave no file for {', '.join(absent)}")
    return found


def set_up(
    spark_home: Path,
    jars: tuple[Jar, ...],
    left_out: tuple[str, ...] = (),
    ivy_settings: str | None = None,
) -> list[str]:
    """Puts the jars and the configuration into `spark_home`; returns the names of changed files."""
    jar_folder = spark_home / "jars"
    changed = []
    if missing_jars(jars, jar_folder):
        with tempfile.TemporaryDirectory(prefix="clinspan-ivy-") as scratch:
            resolved = resolve(jars, left_out, spark_home, Path(scratch), ivy_settings)
            for jar, path in check_resolved(jars, resolved, jar_folder).items():
                if install_file(path, jar_folder / jar.file_name):
                    changed.append(jar.file_name)
    for path in stale_files(jars, jar_folder):
        path.unlink()
        changed.append(f"{path.name} (removed)")
    for name in CONF_FILES:
        if install_file(CONF_SOURCES / name, spark_home / "conf" / name):
            changed.append(name)
    return changed


def find_spark_home() -> Path:
    """The folder of this environment's pyspark.

    Raises:
        SetUpError: pyspark is not installed.
    """
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SetUpError("pyspark is not installed in this environment; run `make setup`")
    return Path(spec.origin).parent


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; exit codes: 0 done, 1 Ivy gave no answer in time, 2 set-up impossible."""
    options = build_parser().parse_args(argv)
    return exit_code(JOB, lambda: _set_up(options.ivy_settings))


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    return ivy_parser("Put Delta's jars and Spark's defaults into this environment.")


def ivy_parser(description: str) -> argparse.ArgumentParser:
    """The flags of a command that lets Ivy find jars."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--ivy-settings",
        default=os.environ.get("CLINSPAN_IVY_SETTINGS"),
        help="Ivy settings file that names your mirror (default: $CLINSPAN_IVY_SETTINGS)",
    )
    return parser


def _set_up(ivy_settings: str | None) -> None:
    spark_home = find_spark_home()
    try:
        lane = lane_for(importlib.metadata.version("pyspark"))
    except UnsupportedSparkVersionError as error:
        raise SetUpError(str(error)) from None
    changed = set_up(spark_home, lane.jars, lane.left_out, ivy_settings)
    if changed:
        print(f"Spark of lane {lane.name}: {', '.join(changed)}")


if __name__ == "__main__":
    sys.exit(main())
