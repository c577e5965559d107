from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caco_data.change_mask import decode_mask, encode_mask
from caco_data.types import PATCH_PX

SHAPE = (PATCH_PX, PATCH_PX)


def mask(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 11, SHAPE, np.uint8)


@given(st.integers(0, 2**32), st.booleans())
def test_masks_are_read_as_written(seed: int, transposed: bool) -> None:
    written = mask(seed).T if transposed else mask(seed)
    read = decode_mask(encode_mask(written))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(bytes(PATCH_PX**2 - 1))).decode(),
        base64.b64encode(zlib.compress(bytes(100 * PATCH_PX**2))).decode(),
        encode_mask(mask(0))[:1000],
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="change mask"):
        decode_mask(text)
