"""Lists the packages; all other metadata is in setup.cfg.

`cli/` is located at the top of the repository and installed as `caco_data.cli`; `find:` in
setup.cfg finds packages only under the name of their folder.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["caco_data", "caco_data.*"]), "caco_data.cli"])
