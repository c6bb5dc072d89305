"""Builds the `clinspan` distribution: the folders as they stand, by name, with their data files.

No `install_requires`: the locks give an environment (set_up.sh), and where a cluster brings its own
Spark, an install of this project must not replace it.
"""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# Run apart, so that a build needs nothing of ours on its path and nothing else installed.
PACKAGES = ("conf", "udfs", "pipelines", "training", "jobs")
VERSION = runpy.run_path(str(HERE / "conf" / "version.py"))["VERSION"]

setup(
    name="clinspan",
    version=VERSION,
    description="Clinical entities from notes to SQL tables, with Apache Spark",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.12",
    packages=find_packages(include=[f"{name}{more}" for name in PACKAGES for more in ("", ".*")]),
    package_data={"conf": ["*.yaml", "**/*.yaml", "spark/*", "cluster/*"]},
    include_package_data=False,
)
