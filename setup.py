"""Lists the packages; everything else is in setup.cfg.

`cli/` stands at the top of the repository and is installed as `caco_data.cli`, a package that
`find:` in setup.cfg cannot find.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["caco_data", "caco_data.*"]), "caco_data.cli"])
