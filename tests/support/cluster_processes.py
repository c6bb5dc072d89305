"""A standalone cluster of separate processes on this machine, for the tests of several folders.

Processes that surely end, a Python that cannot import the checkout, the `.zip` of the wheel. The
`conftest.py` of a folder imports the fixtures that it needs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tarfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

HASH_KEY = "5c" * 32
JOB_SECONDS = 600
START_SECONDS = 120


@dataclass(frozen=True)
class Started:
    """A program at work, and the file that gets all it prints."""

    process: subprocess.Popen
    log: Path

    def printed(self) -> str:
        return self.log.read_text(errors="replace")


class Processes:
    """Starts programs, each in a process group of its own, and ends the groups at last."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._running: list[subprocess.Popen] = []

    def start(
        self, name: str, command: list, environment: Mapping[str, str], folder: Path
    ) -> Started:
        log = self.logs / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(part) for part in command], cwd=folder, env=dict(environment),
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._running.append(process)
        return Started(process, log)

    def wait(self, started: Started) -> tuple[int, str]:
        """Waits for a program to end; returns its exit code and all it printed."""
        try:
            code = started.process.wait(timeout=JOB_SECONDS)
        finally:
            # Once ended, its number may become another program's.
            self._running.remove(started.process)
            self._end(started.process)
        return code, started.printed()

    def run(
        self, name: str, command: list, environment: Mapping[str, str], folder: Path
    ) -> tuple[int, str]:
        """Runs a program to its end; returns its exit code and all it printed."""
        return self.wait(self.start(name, command, environment, folder))

    def kill(self, started: Started) -> int:
        """kill -9 of a program and of what it started in its group; returns its exit code."""
        self._running.remove(started.process)
        os.killpg(started.process.pid, signal.SIGKILL)
        return started.process.wait(timeout=60)

    def end_all(self) -> None:
        for process in reversed(self._running):
            self._end(process)

    @staticmethod
    def free_port() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return int(listener.getsockname()[1])

    @staticmethod
    def wait_for_port(port: int, what: str, log: Path) -> None:
        wait_until(lambda: _is_listening(port), what, log)

    @staticmethod
    def _end(process: subprocess.Popen) -> None:
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, kind)
            except ProcessLookupError:
                return
            for _ in range(50):
                if process.poll() is not None:
                    break
                time.sleep(0.1)


def wait_until(ready: Callable[[], bool], what: str, log: Path) -> None:
    """Waits for a server; fails with what it printed."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} is not ready after {START_SECONDS} s:\n{log.read_text()[-3000:]}")
        time.sleep(0.5)


def _workers(web_port: int) -> list[dict]:
    """The workers that a standalone master knows to be alive."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/json/", timeout=5) as page:
            return [w for w in json.load(page)["workers"] if w["state"] == "ALIVE"]
    except (OSError, ValueError):  # the page answers a moment before it has content
        return []


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clusters")


@pytest.fixture(scope="session")
def processes(workplace: Path) -> Iterator[Processes]:
    running = Processes(workplace)
    yield running
    running.end_all()


@pytest.fixture(scope="session")
def strange_python(workplace: Path, spark_environment: dict[str, str]) -> Path:
    """A Python with all libraries of this lane, as an executor has them, but without the checkout:
    the `.pth` file that leads to it stands in the other site-packages, and is not followed.
    """
    folder = workplace / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python3.*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    python = folder / "bin" / "python"
    for name in ("torch", "pyspark", "conf.settings", "udfs.errors", "pipelines.schemas"):
        done = subprocess.run(
            [python, "-c", f"import {name}"],
            cwd=folder, env=spark_environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        ours = "." in name
        assert ("ModuleNotFoundError" in done.stderr) == ours, f"import {name}: {done.stderr}"
    return python


@pytest.fixture(scope="session")
def project_zip(workplace: Path) -> Path:
    """What `make dist` puts into `dist/`, made from a copy: a build leaves traces."""
    copy = workplace / "copy"
    for package in ("conf", "udfs", "pipelines", "training", "jobs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, copy / package, ignore=ignored)
    for name in ("Makefile", "setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    environment = Path(sys.executable).parents[1]
    command = ["make", "--old-file=setup", "dist", f"VENV={environment}"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [archive] = (copy / "dist").glob("clinspan-*.zip")
    return archive


@pytest.fixture(scope="session")
def spark_environment(workplace: Path) -> dict[str, str]:
    """The environment of every process: nothing of this one's Spark or Python, one machine."""
    import pyspark

    ours = ("SPARK", "PYSPARK", "PYTHON", "CUDA", "CLINSPAN", "_SPARK")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(workplace / "local"),
        "SPARK_DAEMON_MEMORY": "512m",
        "CLINSPAN_HASH_KEY": HASH_KEY,
    }


def private_file(path: Path, text: str) -> Path:
    """A file that holds a secret: closed to others before it has content."""
    path.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
    path.write_text(text)
    return path


@dataclass(frozen=True)
class StandaloneCluster:
    """A master and two workers, each a process of its own with two cores and two pretend GPUs."""

    url: str
    work: Path
    secret: str
    python: Path
    libraries: Path
    project_zip: Path
    environment: dict[str, str]
    processes: Processes
    workers: tuple[int, ...]

    def submit(
        self, name: str, program: Path, *arguments: object, conf: str, **settings: object
    ) -> tuple[int, str]:
        """Runs a program as `start` starts it; returns its exit code and all it printed."""
        return self.processes.wait(self.start(name, program, *arguments, conf=conf, **settings))

    def start(
        self, name: str, program: Path, *arguments: object, conf: str, **settings: object
    ) -> Started:
        """Starts a program with the settings of a file in `conf/cluster`, from an empty folder.

        Neither the driver nor an executor has anything of ours but the `.zip`, and executors have
        their Python from an archive. `settings` are Spark's, with `__` for the full stop.
        """
        folder = self.work.parent / name
        folder.mkdir()
        settled = (REPOSITORY / "conf" / "cluster" / conf).read_text()
        with_secret = private_file(
            folder.with_suffix(".conf"), f"{settled}spark.authenticate.secret {self.secret}\n"
        )
        small = {"spark__executor__memory": "1g", "spark__driver__memory": "1g"}
        local = {
            "spark.driver.host": "127.0.0.1",
            "spark.pyspark.driver.python": self.python,
            "spark.pyspark.python": "./environment/bin/python",
            "spark.sql.shuffle.partitions": 4,
            **{key.replace("__", "."): value for key, value in (small | settings).items()},
        }
        command = [
            Path(self.environment["SPARK_HOME"]) / "bin" / "spark-submit",
            *("--master", self.url, "--properties-file", with_secret),
            *("--py-files", self.project_zip, "--archives", f"{self.libraries}#environment"),
            *(f"--conf={key}={value}" for key, value in local.items()),
            *(program, *arguments),
        ]
        return self.processes.start(name, command, self.environment, folder)


@pytest.fixture(scope="session")
def cluster(
    workplace: Path,
    processes: Processes,
    strange_python: Path,
    project_zip: Path,
    spark_environment: dict[str, str],
) -> StandaloneCluster:
    """A standalone cluster as `conf/cluster/cpu.conf` describes it, on this machine."""
    libraries = workplace / "environment.tar.gz"
    with tarfile.open(libraries, "w:gz") as archive:
        archive.add(strange_python.parents[1], arcname=".")
    secret = secrets.token_hex(32)
    pretend = workplace / "pretend"
    pretend.mkdir()
    (pretend / "nvidia-smi").write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    (pretend / "nvidia-smi").chmod(0o755)
    daemon = private_file(
        workplace / "daemon.conf",
        "spark.authenticate true\n"
        f"spark.authenticate.secret {secret}\n"
        "spark.network.crypto.enabled true\n"
        "spark.worker.resource.gpu.amount 2\n"
        f"spark.worker.resource.gpu.discoveryScript {REPOSITORY}/conf/cluster/find_gpus.sh\n",
    )
    environment = spark_environment | {"PATH": f"{pretend}{os.pathsep}{os.environ['PATH']}"}
    port, web_port = processes.free_port(), processes.free_port()
    run_class = [Path(environment["SPARK_HOME"]) / "bin" / "spark-class"]
    place = ["--host", "127.0.0.1", "--properties-file", daemon]
    master = [*run_class, "org.apache.spark.deploy.master.Master", *place]
    master += ["--port", port, "--webui-port", web_port]
    log = processes.start("master", master, environment, workplace).log
    processes.wait_for_port(port, "the master", log)
    workers = []
    for name in ("worker-1", "worker-2"):
        worker = [*run_class, "org.apache.spark.deploy.worker.Worker", *place, "--webui-port", 0]
        worker += ["--cores", 2, "--memory", "3g", "--work-dir", workplace / "work" / name]
        worker.append(f"spark://127.0.0.1:{port}")
        workers.append(processes.start(name, worker, environment, workplace))
    wait_until(lambda: len(_workers(web_port)) == 2, "the second worker", workers[-1].log)
    return StandaloneCluster(
        url=f"spark://127.0.0.1:{port}",
        work=workplace / "work",
        secret=secret,
        python=strange_python,
        libraries=libraries,
        project_zip=project_zip,
        environment=environment,
        processes=processes,
        workers=tuple(worker.process.pid for worker in workers),
    )


@pytest.fixture(scope="session")
def job(project_zip: Path, workplace: Path) -> Path:
    """The file of the main job, taken out of the `.zip`: nothing is run from the checkout."""
    with zipfile.ZipFile(project_zip) as archive:
        return Path(archive.extract("jobs/extract_entities.py", workplace / "from-zip"))
