"""Scale factors along a track, and the latitude at which NRLMSIS is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from da.calibration import scale_factors, track_latitude
from da.msis import Msis
from da.tracks import DensityTrack


def test_that_the_logarithm_of_measured_over_modelled_density_is_found_again(
    msis: Msis, track_of: Callable[..., DensityTrack]
) -> None:
    def ln_factor(hours: np.ndarray) -> np.ndarray:
        return 0.2 * np.sin(hours)

    track = track_of(ln_factor, hours=6.0)
    found = scale_factors(track, msis)
    np.testing.assert_allclose(found.ln_factor, ln_factor(np.arange(0.0, 6.0, 1.0 / 60.0)), atol=1e-12)
    np.testing.assert_array_equal(found.time, track.time)
    assert found.satellite == "CHAMP"


def test_that_geodetic_latitudes_are_taken_as_they_are(track_of: Callable[..., DensityTrack]) -> None:
    track = track_of(np.zeros_like, hours=2.0)
    np.testing.assert_array_equal(track_latitude(track), track.latitude)


def test_that_geocentric_latitudes_become_geodetic_ones(track_of: Callable[..., DensityTrack]) -> None:
    track = track_of(np.zeros_like, hours=2.0, latitude_kind="geocentric")
    difference = track_latitude(track) - track.latitude
    # To first order in the flattening f the difference is f a / (a + h) sin(2 lat), in radians (Torge, Geodesy,
    # Sec. 4); the next term is f^2 = 1.1e-5 rad.
    flattening = 6378.137 / 298.257 / (6378.137 + track.altitude_km)
    expected = np.degrees(flattening * np.sin(np.radians(2 * track.latitude)))
    np.testing.assert_allclose(difference, expected, atol=np.degrees(2.0 * 1.1e-5))


def test_that_a_latitude_of_the_other_kind_changes_the_scale_factor(
    msis: Msis, track_of: Callable[..., DensityTrack]
) -> None:
    geodetic = track_of(np.zeros_like, hours=2.0)
    geocentric = replace(geodetic, latitude_kind="geocentric")
    difference = scale_factors(geocentric, msis).ln_factor - scale_factors(geodetic, msis).ln_factor
    assert 1e-4 < np.abs(difference).max() < 0.02
