"""NRLMSIS of one storm, and tracks through it whose scale factor is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from da.drivers import load_drivers
from da.msis import Msis
from da.tracks import DensityTrack

START = np.datetime64("2010-04-04T00:00", "ns")


@pytest.fixture(scope="session")
def msis() -> Msis:
    """NRLMSIS 2.1 from 3 to 7 April 2010."""
    return Msis(load_drivers(np.datetime64("2010-04-03"), np.datetime64("2010-04-07")))


@pytest.fixture(scope="session")
def track_of(msis: Msis) -> Callable[..., DensityTrack]:
    """Build a track whose density is NRLMSIS times exp(ln_factor(hours since the start))."""

    def build(
        ln_factor: Callable[[np.ndarray], np.ndarray],
        hours: float = 24.0,
        step_s: float = 60.0,
        keep: Callable[[np.ndarray], np.ndarray] = lambda hours: np.ones(hours.shape, dtype=bool),
        latitude_kind: str = "geodetic",
    ) -> DensityTrack:
        elapsed_s = np.arange(0.0, 3600.0 * hours, step_s)
        elapsed_s = elapsed_s[keep(elapsed_s / 3600.0)]
        argument = 2.0 * np.pi * elapsed_s / 5400.0
        latitude = np.degrees(np.arcsin(np.sin(np.radians(87.0)) * np.sin(argument)))
        longitude = (20.0 - elapsed_s / 240.0 + 180.0 * (np.cos(argument) < 0) + 180.0) % 360.0 - 180.0
        altitude_km = 330.0 + 10.0 * np.sin(argument)
        time = START + (1e9 * elapsed_s).astype("timedelta64[ns]")
        model = msis.along_track(time, latitude, longitude, altitude_km)
        return DensityTrack(
            satellite="CHAMP",
            time=time,
            latitude=latitude,
            longitude=longitude,
            altitude_km=altitude_km,
            density=model.density * np.exp(ln_factor(elapsed_s / 3600.0)),
            latitude_kind=latitude_kind,
        )

    return build


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20100405)
