from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from caco_data.sentinel2 import ALL_BANDS, CENTRE_NM
from caco_data.training.band_scaling import band_scaling
from caco_data.training.models.card import EncoderCard, band_input, card_from_json, sidecar

CARD = EncoderCard(
    architecture="resnet18",
    features=512,
    bands=tuple(band_input(name, *band_scaling(name)) for name in ("B4", "B8A")),
    input_size=96,
    method="caco",
    steps=7,
    settings={"lr": 0.03, "bands": ["B4", "B8A"]},
    metrics={"loss": 1.5},
)


def test_a_card_survives_json() -> None:
    text = CARD.to_json()
    assert card_from_json(text) == CARD
    values = json.loads(text)
    assert next(iter(values)) == "format"
    assert values["bands"][1]["wavelength_nm"] == 864.7
    assert values["bands"][1]["pixel_m"] == 20
    assert set(ALL_BANDS) < CENTRE_NM.keys()


def test_unknown_fields_are_ignored_and_other_versions_refused() -> None:
    values = json.loads(CARD.to_json())
    assert card_from_json(json.dumps({**values, "later": 1})) == CARD
    for text, words in (
        (json.dumps({**values, "format": "caco-encoder/2"}), "caco-encoder/2"),
        ("[]", "no encoder card"),
        ("{}", "no encoder card"),
        (json.dumps({"format": "caco-encoder/1"}), "incomplete"),
        (json.dumps({**values, "bands": [{"name": "B4"}]}), "incomplete"),
    ):
        with pytest.raises(ValueError, match=words):
            card_from_json(text)


def test_the_name_of_the_sidecar() -> None:
    assert sidecar(Path("a/resnet18.pth")) == Path("a/resnet18.pth.card.json")
    assert dataclasses.replace(CARD, assumed=("bands",)).assumed == ("bands",)
