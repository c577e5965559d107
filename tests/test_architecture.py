"""Import rules that the import-linter contracts in setup.cfg cannot express."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.support import ROOT

LIBRARY = sorted((ROOT / "caco_data").rglob("*.py"))
CLI = sorted((ROOT / "cli").glob("*.py"))


def test_the_library_does_not_refer_to_the_command_line() -> None:
    # import-linter analyses this package as `cli`, its name in the checkout.
    for path in LIBRARY:
        if path != ROOT / "caco_data" / "__main__.py":
            assert "caco_data.cli" not in path.read_text(), path


def test_commands_import_heavy_packages_in_function_bodies() -> None:
    light = {"click", "caco_data", "tqdm"} | set(sys.stdlib_module_names)
    for path in CLI:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            else:
                continue
            assert {name.split(".")[0] for name in names} <= light, path


def run_without(modules: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process in which some packages cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        # Writing simulated data needs numpy, pyarrow and pyproj only.
        (
            ["geopandas", "shapely", "rasterio", "dask", "distributed", "ee", "click", "fsspec",
             "pandas", "torch", "matplotlib", "zstandard", "tqdm"],
            "import caco_data.sources.simulated.source, caco_data.dataset.shards, "
            "caco_data.dataset.reader, caco_data.dataset.verify, caco_data.storage",
        ),
        # Training needs no package of the sampler or the download.
        (
            ["geopandas", "shapely", "rasterio", "dask", "distributed", "ee", "click",
             "pandas", "pyproj"],
            "import caco_data.training.loop, caco_data.training.batches, "
            "caco_data.dataset.contact_sheet",
        ),
        # Downloads from the simulated archive need neither torch nor the Earth Engine client.
        (
            ["torch", "lightning", "ee", "click"],
            "import caco_data.download.run, caco_data.dataset.contact_sheet",
        ),
    ],
)  # fmt: skip
def test_packages_import_only_the_dependencies_they_need(missing: list[str], code: str) -> None:
    done = run_without(missing, code)
    assert done.returncode == 0, done.stderr


def test_loading_the_commands_imports_no_heavy_package() -> None:
    code = (
        "import importlib.metadata as m\n"
        "(script,) = m.entry_points(group='console_scripts', name='caco-data')\n"
        "script.load()\n"
        "heavy = {'numpy', 'pandas', 'torch', 'pyarrow', 'dask', 'shapely', 'matplotlib'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    done = run_without([], code)
    assert done.returncode == 0, done.stderr
