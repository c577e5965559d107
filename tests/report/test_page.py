from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.report.conftest import HOSTILE, N


class _Elements(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attrs
            for name, attrs in self.found
            if name == tag
            and all(attrs.get(key.rstrip("_")) == value for key, value in wanted.items())
        ]


@pytest.fixture(scope="module")
def elements(page: Path) -> _Elements:
    return _Elements(page.read_text())


def test_nothing_is_loaded_from_other_files_or_hosts(elements: _Elements) -> None:
    loads = [
        value
        for _, attrs in elements.found
        for name in ("src", "srcset", "href", "action", "data", "poster")
        if (value := attrs.get(name)) is not None
    ]
    assert loads
    assert all(value.startswith(("data:", "#")) for value in loads)
    (policy,) = [one for one in elements.of("meta") if "http-equiv" in one]
    assert "default-src 'none'" in (policy["content"] or "")


def test_every_chart_has_a_title_a_description_and_a_table(page: Path) -> None:
    text = page.read_text()
    charts = re.findall(r'<article class="card.*?</article>', text, re.S)
    titles = []
    for chart in charts:
        title = re.search(r'<h3 id="chart-title-[-0-9]+">(.*?)</h3>', chart)
        assert title
        titles.append(title[1])
        assert re.search(r'<p id="chart-text-[-0-9]+">.{10,}</p>', chart, re.S)
        assert re.search(r"<details><summary>Table: .*?<tbody>\s*<tr>", chart, re.S), titles[-1]
    assert titles == [
        "Locations", "Acquisitions", "Distance to the city", "Redraws", "Clear fraction",
        "Cloudiness of the scenes", "Speed of the downloads", "Retries", "Throttling",
        "Rejections and failures over time",
    ]  # fmt: skip


def test_the_gallery_has_every_tile_of_the_most_changed_locations(elements: _Elements) -> None:
    assert len(elements.of("figure")) == 2
    tiles = [one for one in elements.of("img") if one.get("loading") == "lazy"]
    assert len(tiles) == 2 * 2 * 5
    assert all(
        re.match(r"(early|late) tile of \d{4}-\d\d-\d\d, ", one["alt"] or "") for one in tiles
    )
    assert all((one["src"] or "").startswith("data:image/webp;base64,") for one in tiles)
    assert len(elements.of("dialog")) == 2


def test_texts_from_files_are_escaped(page: Path) -> None:
    text = page.read_text()
    assert HOSTILE not in text
    assert "<b>A" not in text
    assert "\x1b" not in text


def test_existing_files_are_replaced_on_request_only(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    for name in ("report.html", "stacks.png"):
        out = tmp_path / name
        out.write_text("mine")
        result = run("report", folder, "--out", out, "--stacks", 1)
        assert result.exit_code == 2
        assert "--overwrite" in result.stderr
        assert out.read_text() == "mine"
        assert run("report", folder, "--out", out, "--stacks", 1, "--overwrite").exit_code == 0
        assert out.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--bands", "B8,B4,B3"], "not three bands of the data set"),
        (["--bands", "B4"], "not three bands of the data set"),
        (["--location", str(N)], f"No location {N}"),
        (["--out", "a.bmp"], "neither in .html nor in .png"),
        (["--out", "a.png", "another"], "one data set"),
    ],
)
def test_bad_options_are_refused(run: Run, folder: Path, args: list[str], words: str) -> None:
    result = run("report", folder, *args)
    assert result.exit_code == 2
    assert words in result.stderr


def test_other_folders_are_refused(run: Run, tmp_path: Path) -> None:
    result = run("report", tmp_path, "--out", tmp_path / "a.html")
    assert result.exit_code == 2
    assert not (tmp_path / "a.html").exists()
