"""The wheel imports alone, the environment imports this checkout, and the locks are fit to ship."""

import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from conf.lanes import LANES
from conf.version import VERSION
from tests.support.places import REPOSITORY

PACKAGES = ("conf", "udfs", "pipelines", "training", "jobs")
NOT_PACKAGED = {"__pycache__", ".ipynb_checkpoints"}
LANE_LOCKS = {lane: f"requirements-{lane.name}.lock" for lane in LANES}
LOCKS = (*LANE_LOCKS.values(), "requirements-nodeps.lock")
MEBIBYTE = 1024 * 1024
LARGEST_FILE = 5 * MEBIBYTE
LARGEST_MODEL_FILE = 100 * MEBIBYTE


def package_files() -> set[str]:
    """Every file of the packages in the checkout, as the wheel should name it."""
    return {
        path.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and not NOT_PACKAGED & set(path.parts) and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked; built from a copy, because a build reads what an older one left."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY / package, source / package, ignore=shutil.ignore_patterns(*NOT_PACKAGED)
        )
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    wheels = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.glob("clinspan-*.whl")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return unpacked


def run_python(code: str, *options: str, folder: Path) -> str:
    """Run `code` from `folder`, with nothing of this process's path or environment settings."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.heavy
def test_wheel_holds_every_file_of_the_packages(unpacked_wheel: Path) -> None:
    expected = package_files()
    assert {"conf/spark/spark-defaults.conf", "conf/spark/log4j2.properties"} <= expected
    missing = sorted(name for name in expected if not (unpacked_wheel / name).is_file())
    assert not missing, f"not in the wheel (package_data in setup.py): {missing}"


@pytest.mark.heavy
def test_wheel_holds_nothing_else(unpacked_wheel: Path) -> None:
    folders = {path.name for path in unpacked_wheel.iterdir()}
    assert folders == {*PACKAGES, f"clinspan-{VERSION}.dist-info"}


@pytest.mark.heavy
def test_wheel_imports_from_an_empty_folder(unpacked_wheel: Path, tmp_path: Path) -> None:
    # -I -S: no PYTHONPATH, no current folder, and no .pth file that would lead to the checkout.
    libraries = sysconfig.get_path("purelib")
    code = f"""
import importlib, sys
sys.path[:0] = [{str(unpacked_wheel)!r}]
sys.path.append({libraries!r})
names = {PACKAGES!r} + ("conf.lanes", "conf.settings", "udfs.errors", "jobs.set_up.set_up_spark")
for name in names:
    print(importlib.import_module(name).__file__)
"""
    files = run_python(code, "-I", "-S", folder=tmp_path).splitlines()
    assert len(files) >= len(PACKAGES)
    assert all(Path(file).is_relative_to(unpacked_wheel) for file in files), files


def test_environment_imports_this_checkout_from_anywhere(tmp_path: Path) -> None:
    # A finder-style editable install would lose to another package's `conf` in site-packages.
    code = f"""
import importlib
for name in {PACKAGES!r}:
    print(importlib.import_module(name).__file__)
"""
    files = run_python(code, folder=tmp_path).splitlines()
    assert [Path(file).parent for file in files] == [REPOSITORY / package for package in PACKAGES]


def test_installed_version_is_the_one_in_conf() -> None:
    assert version("clinspan") == VERSION


def test_no_job_shares_its_name_with_a_module() -> None:
    # spark-submit puts jobs/ first on the path: a job or a folder named like a library hides it.
    jobs = REPOSITORY / "jobs"
    elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != jobs]
    names = [path.stem for path in jobs.glob("*.py") if path.name != "__init__.py"]
    rooms = [path.name for path in jobs.iterdir() if (path / "__init__.py").is_file()]
    assert "extract_entities" in names and "command_line" in rooms
    taken = [
        name
        for name in (*names, *rooms)
        if name in sys.stdlib_module_names
        or importlib.machinery.PathFinder.find_spec(name, elsewhere) is not None
    ]
    assert not taken, f"rename these jobs or folders: {taken}"


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_host_and_no_folder(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert "://" not in text
    options = [line for line in text.splitlines() if re.match(r"\s*-(?!-hash=)", line)]
    assert not options, f"{name} must hold requirements and hashes only: {options}"
    assert not re.search(r"(^|[\s'\"])[~/.]+/", text), f"{name} names a path"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_is_exact_and_has_a_hash(name: str) -> None:
    text = (REPOSITORY / name).read_text(encoding="utf-8").replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert requirements
    unfit = [
        line
        for line in requirements
        if not re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ]
    assert not unfit


def test_locks_agree_but_for_spark() -> None:
    # So that tests which need no Spark say the same of both lanes; `make test` runs them once.
    locked = [
        dict(
            re.findall(
                r"^([a-z0-9._-]+)==(\S+)", (REPOSITORY / lock).read_text(), flags=re.MULTILINE
            )
        )
        for lock in LANE_LOCKS.values()
    ]
    shared = set.intersection(*(set(versions) for versions in locked))
    differing = {name for name in shared if len({versions[name] for versions in locked}) > 1}
    assert differing == {"pyspark", "delta-spark", "importlib-metadata"}


@pytest.mark.heavy
def test_jobs_that_are_tested_on_one_lane_import_no_spark() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    jobs = re.findall(r"^WITHOUT_SPARK := (.*)$", makefile, flags=re.MULTILINE)[0].split()
    assert len(jobs) > 2
    for job in jobs:
        assert (REPOSITORY / f"tests/jobs/test_{job}.py").is_file()
        code = f"import sys, jobs.{job}; sys.exit('pyspark' in sys.modules)"
        assert (
            subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode
            == 0
        )


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.name)
def test_lock_holds_its_lane_and_no_cuda(lane) -> None:
    text = (REPOSITORY / LANE_LOCKS[lane]).read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, flags=re.MULTILINE))
    wanted = dict(lane.python_packages)
    assert {name: locked.get(name) for name in wanted} == wanted
    # set_up.sh installs torch apart; from the lock it would come with gigabytes of CUDA.
    heavy = [name for name in locked if re.match(r"torch$|nvidia-|cuda-|triton$", name)]
    assert not heavy


def test_project_files_stay_small() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout, so which files are the project's is unknown")
    files = [REPOSITORY / name for name in listing.stdout.split("\0") if name]
    assert files
    too_large = [
        f"{path.relative_to(REPOSITORY)}: {path.stat().st_size / MEBIBYTE:.1f} MiB"
        for path in files
        if path.is_file()
        and path.stat().st_size
        > (LARGEST_MODEL_FILE if REPOSITORY / "models" in path.parents else LARGEST_FILE)
    ]
    assert not too_large, too_large
