"""The tool that prints the statistics of the simulated archive beside the real ones."""

from __future__ import annotations

from tests.support.simulated_image_measures import spectra
from tests.support.simulated_statistics import as_html, as_text, real_statistics

#: The sample is small: its values may differ from the real ones by this factor.
FACTOR = 3


def test_a_small_sample_is_measured_and_printed_beside_real_values() -> None:
    measured = spectra(places=4)
    rows = [row for row in real_statistics() if row.statistic in measured]
    assert len(rows) == len(measured) == 6
    for row in rows:
        ratio = measured[row.statistic] / row.real  # slopes are negative
        assert 1 / FACTOR < ratio < FACTOR, (row.description, ratio)
    agree = sum(row.agrees(measured[row.statistic]) for row in rows)
    text, page = as_text(real_statistics(), measured), as_html(real_statistics(), measured)
    assert f"{agree} of 6 in the real range" in text
    assert text.count(" *\n") == 6 - agree
    assert page.count("<tr>") == 7


def test_ranges_contain_the_real_values_and_names_are_unique() -> None:
    rows = real_statistics()
    assert all(row.low <= row.real <= row.high for row in rows)
    assert len({row.statistic for row in rows}) == len(rows)
