from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from da.drivers import ApInterpolation, Drivers, load_drivers


@pytest.fixture(scope="session")
def april_2010() -> Drivers:
    """Observed indices around the storm of 5 April 2010."""
    return load_drivers(np.datetime64("2010-04-03"), np.datetime64("2010-04-06"))


@pytest.fixture(scope="session")
def drivers_of() -> Callable[..., Drivers]:
    """Builder of drivers with a given Kp (in thirds) in chosen intervals, and another everywhere else."""

    def build(
        special: dict[int, int],
        elsewhere: int = 0,
        interpolation: ApInterpolation = ApInterpolation.MIDPOINTS,
        days: int = 20,
    ) -> Drivers:
        kp_thirds = np.full(8 * days, elsewhere)
        for interval, thirds in special.items():
            kp_thirds[interval] = thirds
        return Drivers(
            day=np.datetime64("2010-04-01") + np.arange(days),
            f107_observed_sfu=np.full(days, 80.0),
            f107_81day_sfu=np.full(days, 80.0),
            kp_thirds=kp_thirds,
            ap_interpolation=interpolation,
            source="made for a test",
        )

    return build
