"""Preprocessing of images for an encoder, numerically equal to that of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from caco_data.errors import InputError
from caco_data.sentinel2 import ALL_BANDS
from caco_data.training.augment import Augmenter, identity_parameters
from caco_data.training.band_scaling import BandScaling
from caco_data.training.models.card import EncoderCard

#: DN: reflectance x 10000. uint8: DN / 10000 * 255, the encoding of 8-bit data sets. reflectance:
#: 0 to 1. display: 0 to 255, already stretched for viewing, as in JPEG files.
Unit = Literal["DN", "uint8", "reflectance", "display"]
UNITS: tuple[Unit, ...] = ("DN", "uint8", "reflectance", "display")

#: Common names of bands in STAC catalogues.
_COMMON = {
    "coastal": "B1", "blue": "B2", "green": "B3", "red": "B4", "rededge1": "B5", "rededge2": "B6",
    "rededge3": "B7", "nir": "B8", "nir08": "B8A", "nir09": "B9", "cirrus": "B10", "swir16": "B11",
    "swir22": "B12",
}  # fmt: skip


def band_name(name: object) -> str:
    """Name of a band in this package: `B04` and `red` are B4; unknown names stay as they are."""
    text = str(name)
    if text.lower() in _COMMON:
        return _COMMON[text.lower()]
    short = text.upper()
    if short.startswith("B0"):
        short = "B" + short[2:]
    return short if short in (*ALL_BANDS, "B10") else text


class Preprocess:
    """Turns images into the input of an encoder.

    Parameters
    ----------
    card : EncoderCard
        Bands, scaling and input size.
    """

    def __init__(self, card: EncoderCard) -> None:
        self.card = card

    def __call__(
        self,
        images: Any,
        bands: Sequence[str] | None = None,
        unit: Unit | None = None,
        size: int | None = None,
    ) -> Tensor:
        """Select and order the bands, resize, scale and normalise.

        Parameters
        ----------
        images : array, Tensor, DataArray, mapping or sequence
            An array or tensor of shape (C, H, W) or (N, C, H, W); a uint8 picture (H, W, C); an
            xarray DataArray with a dimension `band` or Dataset with one variable per band; a
            mapping from band names to arrays (H, W) or (N, H, W); a sequence of arrays
            (N, C, H, W) of different pixel sizes, the finest first.
        bands : sequence of str, optional
            Names of the C channels; if None, those of the card in its order, or those of the
            DataArray's coordinate.
        unit : {"DN", "uint8", "reflectance", "display"}, optional
            Unit of the values; if None, uint8 for arrays of that type and DN for others.
        size : int, optional
            Side of the output in pixels; if None, that of the card.

        Returns
        -------
        Tensor of float32, shape (N, C, size, size)

        Raises
        ------
        InputError
            When bands are missing, the shape or the unit does not fit, or values are NaN.
        """
        parts, names = _as_parts(images, bands, self.card.band_names)
        x = _select(parts, names, self.card.band_names)
        unit = unit or ("uint8" if parts[0].dtype == torch.uint8 else "DN")
        _check_values(x, unit)
        if unit == "reflectance":
            x = x.to(torch.get_default_dtype()) * 10000
        return self._augmenter(unit, size or self.card.input_size)([x], identity_parameters(len(x)))

    def _augmenter(self, unit: Unit, size: int) -> Augmenter:
        scaling = [BandScaling(b.low, b.high, b.mean, b.std) for b in self.card.bands]
        if unit == "display":
            scaling = [band._replace(low=0, high=255) for band in scaling]
        eight_bit = unit in ("uint8", "display")
        return Augmenter(self.card.band_names, eight_bit, size, torch.device("cpu"), scaling)


def _as_parts(
    images: Any, bands: Sequence[str] | None, wanted: tuple[str, ...]
) -> tuple[list[Tensor], tuple[str, ...]]:
    """Convert images to tensors (N, C, H, W), and name all their channels in order."""
    if isinstance(images, Mapping) or hasattr(images, "data_vars"):  # mapping or xarray Dataset
        variables = getattr(images, "data_vars", images)
        names = [band_name(name) for name in variables]
        _require(wanted, names)
        layers = {n: _tensor(v) for n, v in zip(names, variables.values(), strict=True)}
        finest_first = sorted(wanted, key=lambda name: -layers[name].shape[-1])
        parts = [layers[n].reshape(-1, 1, *layers[n].shape[-2:]) for n in finest_first]
        return parts, tuple(finest_first)
    if hasattr(images, "dims"):  # xarray DataArray
        images, bands = _from_data_array(images, bands)
    parts = [_tensor(x) for x in images] if isinstance(images, (list, tuple)) else [_tensor(images)]
    names = [band_name(name) for name in bands or wanted]
    parts = [_channels_first(x, len(names) if len(parts) == 1 else None) for x in parts]
    found = sum(x.shape[1] for x in parts)
    if found != len(names):
        raise InputError(
            f"{found} channels, but {len(names)} bands",
            f"the encoder requires {', '.join(wanted)}",
            "Pass the names of the channels as bands=",
        )
    return parts, tuple(names)


def _from_data_array(images: Any, bands: Sequence[str] | None) -> tuple[Any, Sequence[str] | None]:
    """Move the band dimension of a DataArray before its last two dimensions."""
    if "band" not in images.dims:
        raise InputError(
            "The DataArray has no dimension 'band'", f"dimensions {', '.join(images.dims)}",
            "Rename the dimension of the bands to 'band'",
        )  # fmt: skip
    others = [name for name in images.dims if name not in ("band", "y", "x")]
    spatial = ["y", "x"] if {"y", "x"} <= set(images.dims) else others[-2:]
    leading = [name for name in others if name not in spatial]
    array = images.transpose(*leading, "band", *spatial)
    if bands is None:
        for name in ("band", "common_name", "band_name"):
            if name in images.coords and images.coords[name].dtype.kind in "OUT":
                bands = [str(value) for value in images.coords[name].values]
                break
    return array.values.reshape(-1, *array.shape[-3:]), bands


def _tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    array = np.ascontiguousarray(x)
    if array.dtype == np.bool_ or array.dtype.kind not in "uif":
        raise InputError(f"Values of type {array.dtype}", "image", "Use numbers")
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _channels_first(x: Tensor, channels: int | None) -> Tensor:
    if x.ndim not in (3, 4):
        raise InputError(
            f"An image of shape {tuple(x.shape)}", "image", "Use (C, H, W) or (N, C, H, W)"
        )
    last = channels is not None and x.shape[-3] != channels and x.shape[-1] == channels
    x = x.movedim(-1, -3) if last else x
    return x if x.ndim == 4 else x[None]


def _require(wanted: tuple[str, ...], names: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in names]:
        raise InputError(
            f"The image has no band {', '.join(missing)}",
            f"it has {', '.join(names)}",
            f"The encoder requires {', '.join(wanted)}",
        )


def _select(parts: list[Tensor], names: tuple[str, ...], wanted: tuple[str, ...]) -> Tensor:
    """Join the parts at the finest pixel size, with the channels in the encoder's order."""
    _require(wanted, names)
    side = parts[0].shape[-2:]
    if any(x.shape[-2:] != side for x in parts):
        # As in training, a coarse pixel is repeated over the fine ones that it covers.
        parts = [x.to(torch.get_default_dtype()) for x in parts]
        parts = [x if x.shape[-2:] == side else interpolate(x, side) for x in parts]
    x = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
    order = [names.index(name) for name in wanted]
    # PyTorch cannot index uint16 tensors with a list; most integers become floats here already.
    return x if order == list(range(x.shape[1])) else torch.stack([x[:, i] for i in order], dim=1)


def _check_values(x: Tensor, unit: Unit) -> None:
    """Raise InputError for an unknown unit, for NaN, and for reflectances passed as DN."""
    if unit not in UNITS:
        raise InputError(f"Unknown unit '{unit}'", "unit", f"Use one of {', '.join(UNITS)}")
    if not x.is_floating_point() or not x.numel():
        return
    if not bool(torch.isfinite(x).all()):
        raise InputError("The image contains NaN or infinity", "image", "Fill these pixels first")
    if unit in ("DN", "uint8") and 0 < float(x.max()) <= 2:
        raise InputError(
            f"The values are at most {float(x.max()):.3g}, which is too low for {unit}",
            "image",
            "Pass unit='reflectance' for values between 0 and 1",
        )
