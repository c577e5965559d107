from __future__ import annotations

import colorsys
import dataclasses
import math

import kornia
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from caco_data.sentinel2 import ALL_BANDS, RGB_BANDS
from caco_data.training.augment import (
    Augmenter,
    ViewParameters,
    identity_parameters,
    sample_boxes,
    sample_parameters,
)
from caco_data.training.band_scaling import NORMALISATION, STRETCH

torch.set_num_threads(1)
CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grid_of(size: int = 32, seed: int = 0, bands: int = 3) -> Tensor:
    """Random tiles (2, C, size, size) of 8 bits within the stretch of every band."""
    values = torch.randint(5, 80, (2, bands, size, size), generator=seeded(seed))
    return values.to(torch.uint8)


def view01(augment: Augmenter, tiles: Tensor, parameters: ViewParameters) -> Tensor:
    """A view without normalisation, in 0..1."""
    mean, deviation = torch.tensor([NORMALISATION[b] for b in RGB_BANDS]).T[:, :, None, None]
    view: Tensor = augment([tiles], parameters) * deviation + mean
    return view


@pytest.fixture
def rgb() -> Augmenter:
    return Augmenter(RGB_BANDS, eight_bit=True, size=32, device=CPU)


def test_whole_tile_is_stretched_and_normalised(rgb: Augmenter) -> None:
    tiles = grid_of()
    low, high = torch.tensor([STRETCH[b] for b in RGB_BANDS]).T[:, :, None, None]
    expected = ((tiles - low) / (high - low)).clamp(0, 1)
    torch.testing.assert_close(
        view01(rgb, tiles, identity_parameters(2)), expected, rtol=0, atol=1e-5
    )


def test_dn_and_eight_bits_agree() -> None:
    tiles = grid_of()
    eight = Augmenter(RGB_BANDS, True, 32, CPU)([tiles], identity_parameters(2))
    dn = (tiles.double() * 10000 / 255).round().to(torch.int32).to(torch.uint16)
    torch.testing.assert_close(
        Augmenter(RGB_BANDS, False, 32, CPU)([dn], identity_parameters(2)), eight, rtol=0, atol=0.02
    )


def test_the_view_shows_the_box_of_the_tile(rgb: Augmenter) -> None:
    tiles = grid_of(64)
    box = torch.tensor([[0.25, 0.5, 0.5, 0.5], [0.0, 0.25, 0.5, 0.5]])  # left, top, width, height
    parameters = dataclasses.replace(identity_parameters(2), box=box)
    expected = torch.stack([tiles[0, :, 32:64, 16:48], tiles[1, :, 16:48, 0:32]])
    torch.testing.assert_close(
        rgb([tiles], parameters), rgb([expected], identity_parameters(2)), rtol=0, atol=1e-4
    )
    flipped = dataclasses.replace(parameters, flip=torch.tensor([True, False]))
    torch.testing.assert_close(rgb([tiles], flipped)[0], rgb([tiles], parameters)[0].flip(-1))


def test_a_view_much_smaller_than_the_tile_averages_pixels(rgb: Augmenter) -> None:
    checkerboard = (torch.arange(256)[:, None] + torch.arange(256)) % 2 * 60 + 10
    tiles = checkerboard.to(torch.uint8).expand(1, 3, 256, 256)
    assert rgb([tiles], identity_parameters(1)).flatten(2).std(dim=2).max() < 1e-3


@given(seed=st.integers(0, 1000))
def test_boxes_are_inside_the_tile_with_area_and_ratio_in_range(seed: int) -> None:
    left, top, width, height = sample_boxes(50, seeded(seed)).T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + width <= 1 + 1e-6).all()
    assert (top + height <= 1 + 1e-6).all()
    area, ratio = width * height, width / height
    assert (area > 0.2 - 1e-6).all()
    assert (ratio > 3 / 4 - 1e-4).all()
    assert (ratio < 4 / 3 + 1e-4).all()


def test_probabilities_and_strengths_match_the_paper() -> None:
    n = 20_000
    d = sample_parameters(n, seeded())
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0])
    jittered = (d.colour != neutral).any(1)
    for events, share in (
        (jittered, 0.8), (d.grey, 0.2), (d.sigma > 0, 0.5), (d.flip, 0.5),
    ):  # fmt: skip
        assert events.float().mean() == pytest.approx(share, abs=0.02)
    spread = (d.colour - neutral).abs().amax(0)
    expected = torch.tensor([0.4, 0.4, 0.4, 0.2 * math.pi])
    torch.testing.assert_close(spread, expected, rtol=0.01, atol=0)
    assert 0.1 <= d.sigma[d.sigma > 0].min() < 0.15
    assert 1.95 < d.sigma.max() <= 2


def recoloured(augment: Augmenter, tiles: Tensor, factors: list[float]) -> Tensor:
    colour = torch.tensor([factors]).repeat(len(tiles), 1)
    return view01(
        augment, tiles, dataclasses.replace(identity_parameters(len(tiles)), colour=colour)
    )


def test_brightness_contrast_saturation(rgb: Augmenter) -> None:
    tiles = grid_of()
    x = view01(rgb, tiles, identity_parameters(2))
    enhance = kornia.enhance
    for factors, expected in (
        ([0.7, 1.0, 1.0, 0.0], enhance.adjust_brightness_accumulative(x, 0.7)),
        ([1.3, 1.0, 1.0, 0.0], enhance.adjust_brightness_accumulative(x, 1.3)),
        ([1.0, 0.6, 1.0, 0.0], enhance.adjust_contrast_with_mean_subtraction(x, 0.6)),
        ([1.0, 1.4, 1.0, 0.0], enhance.adjust_contrast_with_mean_subtraction(x, 1.4)),
        ([1.0, 1.0, 0.8, 0.0], enhance.adjust_saturation_with_gray_subtraction(x, 0.8)),
        ([1.0, 1.0, 1.4, 0.0], enhance.adjust_saturation_with_gray_subtraction(x, 1.4)),
    ):
        new = recoloured(rgb, tiles, factors)
        torch.testing.assert_close(new, expected, rtol=0, atol=1e-4)


def test_hue_rotation_agrees_with_hsv(rgb: Augmenter) -> None:
    tiles = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    for band, value in enumerate((60, 50, 35)):
        tiles[:, band] = value
    augment = Augmenter(RGB_BANDS, True, 8, CPU)
    before = colorsys.rgb_to_hsv(
        *view01(augment, tiles, identity_parameters(1))[0, :, 0, 0].tolist()
    )
    turned = recoloured(augment, tiles, [1.0, 1.0, 1.0, 0.1 * 2 * math.pi])
    after = colorsys.rgb_to_hsv(*turned[0, :, 0, 0].tolist())
    turn = (after[0] - before[0] + 0.5) % 1 - 0.5
    assert abs(turn) == pytest.approx(0.1, abs=0.03)


def test_colour_follows_band_names_not_positions() -> None:
    tiles = grid_of()
    factors = [1.1, 0.8, 1.2, 0.3]
    straight = Augmenter(("B4", "B3", "B2"), True, 32, CPU)
    turned = Augmenter(("B2", "B3", "B4"), True, 32, CPU)
    parameters = dataclasses.replace(
        identity_parameters(2), colour=torch.tensor([factors]).repeat(2, 1)
    )
    view = turned([tiles.flip(1)], parameters).flip(1)
    torch.testing.assert_close(view, straight([tiles], parameters), rtol=0, atol=1e-4)


def test_grey_is_luma_in_every_band(rgb: Augmenter) -> None:
    tiles = grid_of()
    grey = dataclasses.replace(identity_parameters(2), grey=torch.tensor([True, False]))
    x = view01(rgb, tiles, identity_parameters(2))
    luma = (x[0] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0)
    new = view01(rgb, tiles, grey)
    torch.testing.assert_close(new[0], luma.expand(3, -1, -1), rtol=0, atol=1e-4)
    torch.testing.assert_close(new[1], x[1])


def test_blur_equals_kornia() -> None:
    augment = Augmenter(RGB_BANDS, True, 224, CPU)
    tiles, sigma = grid_of(224), torch.tensor([1.5, 0.3])
    x = view01(augment, tiles, identity_parameters(2))
    expected = kornia.filters.gaussian_blur2d(x, (13, 13), sigma[:, None].expand(2, 2))
    new = view01(augment, tiles, dataclasses.replace(identity_parameters(2), sigma=sigma))
    torch.testing.assert_close(new, expected, rtol=0, atol=1e-5)


def test_crops_equal_kornia() -> None:
    tiles = grid_of(64)
    crop = kornia.augmentation.RandomResizedCrop((32, 32), align_corners=False)
    torch.manual_seed(0)
    parameters = crop.forward_parameters(tiles.shape)
    corners = parameters["src"].float()  # (N, 4, 2), clockwise from the top left, inclusive
    first, last = corners[:, 0], corners[:, 2] + 1
    box = torch.cat([first, last - first], dim=1) / 64
    augment = Augmenter(RGB_BANDS, True, 32, CPU)
    x = view01(augment, tiles, dataclasses.replace(identity_parameters(2), box=box))
    stretched = view01(Augmenter(RGB_BANDS, True, 64, CPU), tiles, identity_parameters(2))
    expected = crop(stretched, params=parameters)
    # At the edges kornia repeats the last pixels of the crop; here the tile continues.
    torch.testing.assert_close(x[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("bands", [("B8",), ("B4", "B3", "B2", "B8"), ALL_BANDS])
def test_views_of_any_bands(bands: tuple[str, ...]) -> None:
    augment = Augmenter(bands, True, 16, CPU)
    tiles = torch.randint(0, 255, (20, len(bands), 32, 32), generator=seeded()).to(torch.uint8)
    parameters = sample_parameters(20, seeded(1))
    views = augment([tiles], parameters)
    assert views.shape == (20, len(bands), 16, 16)
    assert views.isfinite().all()


def test_coarse_pixels_are_repeated_over_the_fine_pixels() -> None:
    augment = Augmenter(("B4", "B11", "B1"), True, 24, CPU)
    fine, middle, coarse = grid_of(48, bands=1), grid_of(24, 1, bands=1), grid_of(8, 2, bands=1)

    def repeated(x: Tensor) -> Tensor:
        times = 48 // x.shape[-1]
        return x.repeat_interleave(times, -1).repeat_interleave(times, -2)

    parameters = sample_parameters(2, seeded(3))
    together = torch.cat([fine, repeated(middle), repeated(coarse)], dim=1)
    views = augment([fine, middle, coarse], parameters)
    torch.testing.assert_close(views, augment([together], parameters))


def test_images_are_processed_independently(rgb: Augmenter) -> None:
    tiles = torch.cat([grid_of(seed=i) for i in range(10)])
    parameters = sample_parameters(20, seeded(4))
    together = rgb([tiles], parameters)
    for i in (0, 7, 17, 19):
        alone = rgb([tiles[i : i + 1]], parameters.part(i, i + 1))
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-5)


def test_views_have_the_default_dtype() -> None:
    tiles = grid_of()
    parameters = sample_parameters(2, seeded())
    single = Augmenter(RGB_BANDS, True, 32, CPU)([tiles], parameters)
    torch.set_default_dtype(torch.float64)
    try:
        values = (getattr(parameters, field.name) for field in dataclasses.fields(parameters))
        wide = ViewParameters(*(x.double() if x.is_floating_point() else x for x in values))
        double = Augmenter(RGB_BANDS, True, 32, CPU)([tiles], wide)
    finally:
        torch.set_default_dtype(torch.float32)
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-4)


def test_a_seed_gives_the_same_views(rgb: Augmenter) -> None:
    tiles = grid_of()
    first, again = (rgb([tiles], sample_parameters(2, seeded(9))) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, rgb([tiles], sample_parameters(2, seeded(10))))
