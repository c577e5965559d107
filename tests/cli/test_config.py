from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run


def test_the_command_line_takes_precedence_over_the_settings_file(run: Run, tmp_path: Path) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text('[info]\ndataset = "/from-the-file"\n')
    assert "/from-the-file" in run("--config", settings, "info").stderr
    assert "/from-the-line" in run("--config", settings, "info", "/from-the-line").stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sampler]\nn = 1", "sampler"),
        ("[info]\nno-such = 1", "no-such"),
        ("n = 1", "'n'"),
        ("[info", "TOML"),
    ],
)
def test_errors_in_settings_files_name_the_file(
    run: Run, tmp_path: Path, text: str, named: str
) -> None:
    settings = tmp_path / "bad.toml"
    settings.write_text(text)
    result = run("--config", settings, "info")
    assert result.exit_code == 2
    assert named in result.stderr
    assert "bad.toml" in result.stderr


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("no-overlap = 1", "true or false"),
        ("seed = 1.5", "integer"),
        ("seed = true", "integer"),
        ('top-cities = ["a"]', "'a'"),
        ('n = "0"', "'0'"),
    ],
)
def test_values_of_a_settings_file_have_the_type_of_the_option(
    run: Run, tmp_path: Path, line: str, named: str
) -> None:
    settings = tmp_path / "bad.toml"
    settings.write_text(f"[sample]\n{line}\n")
    result = run("--config", settings, "sample")
    assert result.exit_code == 2
    assert f"'{line.split()[0]}' in [sample]" in result.stderr
    assert named in result.stderr
    assert "bad.toml" in result.stderr


def test_a_list_of_a_settings_file_is_the_list_of_the_command_line(
    run: Run, tmp_path: Path
) -> None:
    settings, table = tmp_path / "mine.toml", tmp_path / "locations.csv"
    settings.write_text('[download]\nbands = ["B8", "B4"]\nsource = "simulated"\n')
    run("sample", "--n", 1, "--out", table)
    both = [
        run(*first, "download", *last, "--locations", table, "--dry-run").stdout
        for first, last in (
            (("--config", settings), ()),
            ((), ("--bands", "B8,B4", "--source", "simulated")),
        )
    ]
    assert both[0] == both[1] != ""


def test_missing_settings_file(run: Run) -> None:
    assert run("--config", "/nowhere.toml", "info").exit_code == 2


def test_options_from_settings_fields_are_read_from_the_file(run: Run, tmp_path: Path) -> None:
    settings, out = tmp_path / "mine.toml", tmp_path / "locations.geojson"
    settings.write_text(f'[sample]\nn = "3"\ntop-cities = "2k"\nno-overlap = true\nout = "{out}"\n')
    assert run("--config", settings, "sample", "--seed", 7).exit_code == 0
    written = json.loads(out.read_text())["caco_data"]
    assert written["seed"] == 7
    assert (written["settings"]["top_cities"], written["settings"]["no_overlap"]) == (2_000, True)
    settings.write_text("[download]\nmax-cloud = 101\n")
    result = run("--config", settings, "download")
    assert result.exit_code == 2
    assert "'max-cloud' in [download]" in result.stderr
