"""The import rules of the house (DESIGN 3)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

LIBRARY = sorted((ROOT / "caco_data").rglob("*.py"))
CLI = sorted((ROOT / "cli").glob("*.py"))


def imports(path: Path, nested: bool = True) -> set[str]:
    """Absolute names a module imports, at the top or (nested) anywhere."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if nested else iter(tree.body)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def users(package: str, paths: list[Path]) -> set[str]:
    """Modules, relative to the root, that import a package."""
    return {
        str(path.relative_to(ROOT))
        for path in paths
        if any(name.split(".")[0] == package for name in imports(path))
    }


def test_each_heavy_package_has_its_place() -> None:
    assert users("click", LIBRARY) == set()
    assert users("dask", LIBRARY) | users("distributed", LIBRARY) == {
        "caco_data/download/cluster.py"
    }
    for path in users("ee", LIBRARY):
        assert path.startswith("caco_data/sources/earthengine/")
    for path in users("torch", LIBRARY) | users("lightning", LIBRARY):
        assert path.startswith(("caco_data/training/", "caco_data/evaluation/"))


def test_nothing_imports_the_command_line() -> None:
    for path in LIBRARY:
        assert not any(name.split(".")[0] == "cli" for name in imports(path))
        assert not any(name.startswith("caco_data.cli") for name in imports(path))


def test_the_library_does_not_print() -> None:
    for path in LIBRARY:
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), path


def test_commands_import_what_is_heavy_inside_their_bodies() -> None:
    light = {"click", "caco_data", "tqdm"} | set(sys.stdlib_module_names)
    for path in CLI:
        assert {name.split(".")[0] for name in imports(path, nested=False)} <= light, path


def run_without(modules: list[str], code: str) -> subprocess.CompletedProcess[str]:
    block = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        # Data can be made where little is installed (DESIGN 7).
        (
            ["geopandas", "shapely", "rasterio", "dask", "distributed", "ee", "click", "fsspec",
             "pandas", "torch", "matplotlib", "zstandard", "tqdm"],
            "import caco_data.sources.simulated.source, caco_data.dataset.shards, "
            "caco_data.dataset.reader, caco_data.dataset.verify, caco_data.storage",
        ),
        # The training half knows nothing of the data half.
        (
            ["geopandas", "shapely", "rasterio", "dask", "distributed", "ee", "click",
             "pandas", "pyproj"],
            "import caco_data.training.loop, caco_data.training.batches, "
            "caco_data.dataset.contact_sheet",
        ),
        (
            ["torch", "lightning", "ee", "click"],
            "import caco_data.download.run, caco_data.dataset.contact_sheet",
        ),
    ],
)  # fmt: skip
def test_halves_import_without_each_other(missing: list[str], code: str) -> None:
    done = run_without(missing, code)
    assert done.returncode == 0, done.stderr


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import importlib.metadata as m\n"
        "(script,) = m.entry_points(group='console_scripts', name='caco-data')\n"
        "script.load()\n"
        "heavy = {'numpy', 'pandas', 'torch', 'pyarrow', 'dask', 'shapely', 'matplotlib'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    done = run_without([], code)
    assert done.returncode == 0, done.stderr
