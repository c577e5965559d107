"""Print the lowest versions that setup.cfg allows, as pip constraints.

`.github/workflows/ci.yml` runs the tests with them.

The development tools are not pinned. Needs the standard library only, since it runs before
anything is installed.
"""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

SETUP_CFG = Path(__file__).parents[1] / "setup.cfg"


def pins(requirements: str) -> list[str]:
    """Pin each line `NAME>=VERSION` to its lower bound; ValueError for other lines."""
    lines = requirements.split()
    for line in lines:
        if not re.fullmatch(r"[A-Za-z0-9._-]+>=[0-9.]+", line):
            raise ValueError(f"not NAME>=VERSION: {line!r}")
    return [line.replace(">=", "==") for line in lines]


def main() -> int:
    """Print the pins of the package and its `train` extra."""
    config = configparser.ConfigParser()
    config.read(SETUP_CFG, encoding="utf-8")
    required = config["options"]["install_requires"] + config["options.extras_require"]["train"]
    print("\n".join(pins(required)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
