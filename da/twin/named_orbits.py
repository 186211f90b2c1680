"""Mean orbits of satellites that experiments are named after, for periods whose measurements are not at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from da.errors import ThermodaError
from da.twin.orbit import AnalyticOrbit

LONGEST_AGE = np.timedelta64(45, "D")
"""How far from its epoch a mean orbit stands for the satellite: CHAMP sank by about 4 km a month in early 2010."""


@dataclass(frozen=True)
class NamedOrbit:
    """A circular orbit of a satellite around an epoch.

    Parameters
    ----------
    satellite : str
    altitude_km, inclination_deg : float
        Mean height above the ellipsoid, and inclination.
    node_local_time_h : float
        Local mean solar time of the ascending node at the epoch.
    epoch : datetime64, UTC
    source : str
    """

    satellite: str
    altitude_km: float
    inclination_deg: float
    node_local_time_h: float
    epoch: np.datetime64
    source: str

    def orbit(self, start: np.datetime64, stop: np.datetime64, where: str) -> AnalyticOrbit:
        """Return the orbit for a period. The argument of latitude at the epoch, which nothing fixes, is 0.

        Raises
        ------
        ThermodaError
            If the period reaches more than 45 days from the epoch; ``where`` begins the message.
        """
        if max(abs(start - self.epoch), abs(stop - self.epoch)) > LONGEST_AGE:
            raise ThermodaError(
                f"{where}: this orbit of {self.satellite} holds within {LONGEST_AGE.astype(np.int64)} days of "
                f"{self.epoch.astype('datetime64[D]')}, but the run needs {start.astype('datetime64[D]')} to "
                f"{stop.astype('datetime64[D]')}; give elements of its own time"
            )
        return AnalyticOrbit.from_node_local_time(
            self.altitude_km, self.inclination_deg, self.node_local_time_h, 0.0, self.epoch
        )


_EPOCH = np.datetime64("2010-04-05T00:00:00", "ns")
_SOURCE = (
    "height in April 2010: Corbin & Kusche (2022), doi:10.1186/s40623-022-01733-z; inclination and node: highest "
    "latitude and local times at the equator of the densities of 21-30 November 2002 (Sutton 2011, v2.2), carried on "
    "by the precession of J2 at the mission's mean height of {mean} km, uncertain by 0.5 h"
)

NAMED_ORBITS = {
    "champ_2010": NamedOrbit("CHAMP", 302.0, 87.27, 0.95, _EPOCH, _SOURCE.format(mean=365)),
    "grace_a_2010": NamedOrbit("GRACE-A", 474.0, 89.02, 8.72, _EPOCH, _SOURCE.format(mean=480)),
}
"""The orbits of the storm of 5 April 2010.

Carried back and forth alike, the nodes agree with what is known of other days: CHAMP near 4:30 and 15:30 local time in
mid-April 2002 (Forbes et al. 2005, Journal of Geophysical Research 110, A12S06) and near 1:00 and 13:00 at the end of
October 2003 (Sutton et al. 2005, doi:10.1029/2004JA010985), and CHAMP's ascending node by night in April 2010 (Corbin &
Kusche 2022, Fig. 3).
"""
