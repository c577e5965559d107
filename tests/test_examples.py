from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from caco_data.exchange import readers
from tests.support import ROOT
from tests.support.labelled_pictures import save_random_encoder
from tests.support.training_data import make_training_set

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PAGES = ("exchange.md", "encoder-card.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set and the run that the examples open."""
    root = tmp_path_factory.mktemp("examples")
    make_training_set(root / "dataset", 3, dtype="uint16")
    save_random_encoder(root / "run" / "encoder.safetensors", size=224)
    return root


def check(examples: doctest.DocTest) -> None:
    found: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(examples, out=found.append)
    assert result.attempted, f"{examples.name} has no examples"
    assert not result.failed, "".join(found)


@pytest.mark.parametrize("name", ["", "torch", "torchgeo", "xarray"])
def test_examples_of_the_readers(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    documented = getattr(readers.ReadableDataset, name) if name else readers.open_dataset
    (examples,) = doctest.DocTestFinder(recurse=False).find(documented, globs=vars(readers).copy())
    check(examples)


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_documentation(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"```pycon\n(.*?)```", text, re.DOTALL)
    check(doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, page, 0))
