"""Which Spark goes with which Delta: the one table of versions, jars and their digests.

Owns the facts; does not know how jars are fetched or where Spark lies (jobs/set_up_spark.py).
A lane is chosen by pyspark's release line, because Delta's jars are built for exactly one.
"""

from dataclasses import dataclass


class UnsupportedSparkVersionError(ValueError):
    """The installed pyspark belongs to no lane."""


@dataclass(frozen=True, slots=True)
class Jar:
    """A Maven coordinate `group:artifact:version` and the SHA-256 of its jar file."""

    coordinate: str
    sha256: str

    @property
    def artifact(self) -> str:
        return self.coordinate.split(":")[1]

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True)
class Lane:
    """One tried combination. `python_packages` holds exact versions of what must match the jars."""

    name: str
    spark_line: str
    scala: str
    python_packages: tuple[tuple[str, str], ...]
    jars: tuple[Jar, ...]


LANES = (
    Lane(
        name="default",
        spark_line="3.5",
        scala="2.12",
        python_packages=(("pyspark", "3.5.9"), ("delta-spark", "3.3.2")),
        # delta-spark's third dependency, antlr4-runtime 4.9.3, comes with pyspark itself.
        jars=(
            Jar(
                "io.delta:delta-spark_2.12:3.3.2",
                "4e92085d5d794cf949c50bb665b91384857cad58680c2d0bfc9c7ad353e98e85",
            ),
            Jar(
                "io.delta:delta-storage:3.3.2",
                "c096975a2ca97ccc9b4005aa5cce16c9ac3903139d340da6665b66ace67d7c36",
            ),
        ),
    ),
)


def lane_for(spark_version: str) -> Lane:
    """The lane of a pyspark version such as "3.5.9"; patch releases of one line share a lane."""
    line = ".".join(spark_version.split(".")[:2])
    for lane in LANES:
        if lane.spark_line == line:
            return lane
    supported = ", ".join(lane.spark_line for lane in LANES)
    raise UnsupportedSparkVersionError(
        f"pyspark must be of a supported line ({supported}), found {spark_version}; "
        "install the locked versions with `make setup`"
    )
