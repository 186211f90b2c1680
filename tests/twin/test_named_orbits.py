from __future__ import annotations

import numpy as np
import pytest

from da.errors import ThermodaError
from da.twin import NAMED_ORBITS

START, STOP = np.datetime64("2010-03-27", "ns"), np.datetime64("2010-04-10", "ns")


@pytest.mark.parametrize("name", NAMED_ORBITS)
def test_that_a_named_orbit_has_its_height_and_its_local_time(name: str) -> None:
    named = NAMED_ORBITS[name]
    orbit = named.orbit(START, STOP, "key")
    position = orbit.positions(named.epoch + np.arange(0, 90 * 60, 5) * np.timedelta64(1, "s"))
    assert position.altitude_km.mean() == pytest.approx(named.altitude_km, abs=1.0)
    assert orbit.node_local_time_h(named.epoch)[0] == pytest.approx(named.node_local_time_h, abs=1e-9)


def test_that_the_ascending_node_of_champ_lay_in_the_night_of_the_storm_of_april_2010() -> None:
    # Corbin & Kusche (2022), Fig. 3: arguments of latitude 0 and 180 degrees are the night and the day side.
    local_time = NAMED_ORBITS["champ_2010"].orbit(START, STOP, "key").node_local_time_h(np.array([START, STOP]))
    assert np.all((local_time < 6.0) | (local_time > 18.0))


def test_that_a_period_far_from_the_epoch_is_refused() -> None:
    with pytest.raises(ThermodaError, match="^key: this orbit of GRACE-A holds within 45 days of 2010-04-05"):
        NAMED_ORBITS["grace_a_2010"].orbit(START, np.datetime64("2010-06-01", "ns"), "key")
