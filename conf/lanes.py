"""Which Spark goes with which Delta: the one table of versions, jars and their digests.

Owns the facts; does not know how jars are fetched or where Spark is installed
(jobs/set_up/set_up_spark.py). A lane is chosen by pyspark's release line, because Delta's jars are
built for exactly one.
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
        """The artifact's name, without group and version."""
        return self.coordinate.split(":")[1]

    @property
    def file_name(self) -> str:
        """The name of the jar file, as Maven repositories have it."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True)
class Lane:
    """One combination of Spark and Delta that was tried.

    `python_packages` holds the exact versions of the packages that must match the jars. `left_out`
    are patterns of groups: their artifacts are not fetched, although the jars depend on them.
    """

    name: str
    spark_line: str
    scala: str
    python_packages: tuple[tuple[str, str], ...]
    jars: tuple[Jar, ...]
    left_out: tuple[str, ...] = ()


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
    Lane(
        name="spark4",
        spark_line="4.2",
        scala="2.13",
        python_packages=(("pyspark", "4.2.0"), ("delta-spark", "4.4.0")),
        jars=(
            Jar(
                "io.delta:delta-spark_4.2_2.13:4.4.0",
                "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
            ),
            Jar(
                "io.delta:delta-storage:4.4.0",
                "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
            ),
            Jar(
                "io.delta:delta-kernel-api:4.4.0",
                "ee9b5a14ac3b7efdff4d61a58478fe8eb0e5a3fbca43889dca7290795fe79a11",
            ),
            Jar(
                "io.delta:delta-kernel-defaults:4.4.0",
                "225c975199e4718b38ee5b7e6da7f19e9585024262b2cec2656b32151a856b0b",
            ),
            Jar(
                "io.delta:delta-kernel-unitycatalog:4.4.0",
                "cea22dfb4ac562b3cd27bf652697750e8336009d73fb06631363aaaad5345ffa",
            ),
        ),
        # Delta depends on older builds of what Spark 4.2 ships itself, and on the client of Unity
        # Catalog, which nothing here uses. This leaves out 33 artifacts (87 MB).
        left_out=("com.*", "org.*", "javax.*", "commons-*", "io.airlift", "io.unitycatalog"),
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
