"""Compare the files in a wheel with those in git: `python tools/check_wheel.py dist/*.whl`.

Finds packages that setup.py does not list, which setuptools leaves out without a warning, and
top-level modules that would overwrite those of another distribution.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile


def expected(tracked: list[str]) -> set[str]:
    """Names in the wheel of the tracked files of the package and the command line."""
    names = set()
    for path in tracked:
        if path.startswith("caco_data/"):
            names.add(path)
        elif path.startswith("cli/"):
            names.add(f"caco_data/{path}")
    return names


def main(wheel: str) -> int:
    """Print the differences; return 1 if there are any, else 0."""
    tracked = subprocess.run(
        ["git", "ls-files"], check=True, capture_output=True, text=True
    ).stdout.split("\n")
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    missing, extra = expected(tracked) - found, found - expected(tracked)
    for name in sorted(missing):
        print(f"not in the wheel: {name}")
    for name in sorted(extra):
        print(f"only in the wheel: {name}")
    print(f"{wheel}: {len(found)} files, {len(missing)} missing, {len(extra)} extra")
    return 1 if missing or extra else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
