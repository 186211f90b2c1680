"""Densities of a file against NRLMSIS: another unit is refused by name, weather is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from da.calibration import refuse_other_unit
from da.errors import ThermodaError
from da.msis import Msis
from da.tracks import DensityTrack

TrackOf = Callable[..., DensityTrack]


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1e-3, r"about 10\^-3: the numbers seem to be in g cm-3"),
        (1e3, r"about 10\^3: the numbers seem to be in g m-3"),
        (1e12, r"about 10\^12: the numbers seem to be in ng m-3"),
        (1e-12, r"about 10\^-12: the numbers seem to have been scaled twice"),
        (40.0, "no unit explains that"),
        (1 / 40.0, "no unit explains that"),
    ],
)
def test_that_another_unit_is_refused_naming_file_satellite_and_factor(
    msis: Msis, track_of: TrackOf, factor: float, words: str
) -> None:
    track = replace(track_of(lambda hours: np.full(hours.shape, np.log(factor)), hours=3.0), source="bad.txt")
    with pytest.raises(ThermodaError, match=words) as caught:
        refuse_other_unit(track, msis)
    assert str(caught.value).startswith(f"bad.txt: its densities are {factor:.2g} times those of NRLMSIS")
    assert "CHAMP" in str(caught.value)


@pytest.mark.parametrize("factor", [1 / 20.0, 0.3, 1.0, 4.0, 20.0])
def test_that_what_weather_can_do_passes_and_outliers_do_not_count(
    msis: Msis, track_of: TrackOf, factor: float
) -> None:
    def ln_factor(hours: np.ndarray) -> np.ndarray:
        return np.log(factor) + np.where(np.arange(hours.size) % 3 == 0, np.log(1e6), 0.0)

    refuse_other_unit(track_of(ln_factor, hours=3.0), msis)
    refuse_other_unit(track_of(ln_factor, hours=3.0, latitude_kind="geocentric"), msis)


def test_that_a_track_without_records_says_nothing(msis: Msis, track_of: TrackOf) -> None:
    track = track_of(np.zeros_like, hours=1.0)
    refuse_other_unit(
        track.between(track.time[-1] + np.timedelta64(1, "h"), track.time[-1] + np.timedelta64(2, "h")), msis
    )
