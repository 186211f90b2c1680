"""Densities in another unit: told by their size, named by the power of a thousand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.errors import ThermodaError
from da.tracks.records import RawRecords, clean_track
from da.tracks.wrong_units import is_plausible, likely_cause, usual_density


@given(st.floats(-300.0, 300.0))
def test_that_every_ratio_is_either_plausible_or_has_a_cause(exponent: float) -> None:
    ratio = 10.0**exponent
    assert is_plausible(ratio) == (1 / 30 <= ratio <= 30)
    assert likely_cause(ratio)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1e3, "about 10^3: the numbers seem to be in g m-3"),
        (4e-3, "about 10^-3: the numbers seem to be in g cm-3"),
        (3e11, "about 10^12: the numbers seem to be in ng m-3"),
        (2e-12, "about 10^-12: the numbers seem to have been scaled twice"),
        (5e9, "about 10^9: the numbers seem to be in kg km-3"),
        (1e24, "about 10^24: the numbers seem to have been left without their scale factor"),
        (31.0, "no unit explains that"),
        (1 / 31.0, "no unit explains that"),
        (25e3, "no unit explains that"),
    ],
)
def test_that_the_likely_unit_is_named(ratio: float, words: str) -> None:
    assert words in likely_cause(ratio)


def test_that_the_usual_density_falls_with_height() -> None:
    density = usual_density(np.arange(80.0, 2001.0, 10.0))
    assert (np.diff(density) < 0.0).all()


def records(density: np.ndarray) -> RawRecords:
    time = np.datetime64("2010-04-05T00:00:00", "ns") + np.arange(density.size) * np.timedelta64(60, "s")
    return RawRecords(
        time, np.linspace(-80, 80, density.size), np.zeros(density.size), np.full(density.size, 400.0), density
    )


@pytest.mark.parametrize("factor", [1e9, 1e12, 1e15])
def test_that_a_file_whose_densities_are_too_heavy_for_any_air_is_refused_with_its_factor(factor: float) -> None:
    density = factor * np.linspace(1e-12, 4e-12, 50)
    with pytest.raises(ThermodaError) as caught:
        clean_track(records(density), "champ", "heavy.txt")
    message = str(caught.value)
    assert message.startswith("heavy.txt: its densities are ")
    assert f"a factor of about 10^{round(np.log10(factor))}:" in message


def test_that_fill_values_and_a_few_wild_numbers_are_left_out_as_before() -> None:
    density = np.linspace(1e-12, 4e-12, 50)
    density[:40] = 9.99e32
    assert clean_track(records(density), "champ", "filled.txt").dropped == {"out_of_range": 40}
    density[:20] = np.linspace(1.0, 1e300, 20)
    density[20:40] = 2e-12
    assert clean_track(records(density), "champ", "wild.txt").dropped == {"out_of_range": 20}


def test_that_damaged_densities_of_any_size_are_refused_in_words() -> None:
    with pytest.raises(ThermodaError, match="left without their scale factor"):
        clean_track(records(np.linspace(1e305, 1.7e308, 20)), "champ", "damaged.txt")
