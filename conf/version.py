"""The project's version, in one place: setup.py and the `runs` table read it here.

Knows nothing else and imports nothing, so that a build can read it before anything is installed.
"""

VERSION = "0.1.0"
