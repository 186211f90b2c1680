"""What the magnetosphere does to high latitudes: its two sources, Kp and the solar wind, in one form."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.drivers.convection import hemispheric_power_from_solar_wind, polar_cap_potential_kv
from da.drivers.empirical import cross_tail_potential_from_kp, hemispheric_power_from_kp
from da.drivers.solar_wind import SolarWind

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

COUPLING_QUANTITIES = ("by_nt", "bz_nt", "velocity_km_s", "density_cm3")
"""What of the solar wind the formulas of `da.drivers.convection` take."""

SOLAR_WIND_INPUTS = ("solar_wind_velocity_km_s", "solar_wind_density_cm3")
"""Names of the offsets of members that a model driven by the solar wind may take."""

HISTORY = np.timedelta64(72, "h")
"""How far back models ask for hemispheric power: nitric oxide remembers auroras for days."""

YOUNGEST_LAG = np.timedelta64(10, "m")
OLDEST_LAG = np.timedelta64(50, "m")
_LAGS = np.arange(YOUNGEST_LAG, OLDEST_LAG + np.timedelta64(1, "m"))


class HighLatitudeSource(StrEnum):
    """What hemispheric power and cross-tail potential are computed from."""

    KP = "kp"
    SOLAR_WIND = "solar_wind"


class OutsideSolarWind(StrEnum):
    """What happens at times before the first or after the last measurement of the solar wind."""

    REFUSE = "refuse"
    KP = "kp"


@dataclass(frozen=True)
class HighLatitudeForcing:
    """Forcing at ``n`` times of ``m`` members (one where no member has an offset).

    Parameters
    ----------
    hemispheric_power_gw : array (n, m)
        Power of auroral particles into one hemisphere [GW].
    cross_tail_potential_kv : array (n, m)
        Potential across the polar cap [kV].
    """

    hemispheric_power_gw: FloatArray
    cross_tail_potential_kv: FloatArray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of times and members."""
        times, members = self.cross_tail_potential_kv.shape
        return times, members

    def merged(self, other: HighLatitudeForcing, here: NDArray[np.bool_]) -> HighLatitudeForcing:
        """Return this forcing at the times that are ``here`` (n,), and the ``other``, of one member, elsewhere."""
        merged = []
        for own, others in (
            (self.hemispheric_power_gw, other.hemispheric_power_gw),
            (self.cross_tail_potential_kv, other.cross_tail_potential_kv),
        ):
            values = np.empty((here.size, own.shape[1]))
            values[here], values[~here] = own, others
            merged.append(values)
        return HighLatitudeForcing(*merged)

    def with_offsets(self, power_gw: ArrayLike, potential_kv: ArrayLike) -> HighLatitudeForcing:
        """Return the forcing with offsets (members,) added; nothing becomes negative."""
        return HighLatitudeForcing(
            np.maximum(self.hemispheric_power_gw + np.asarray(power_gw), 0.0),
            np.maximum(self.cross_tail_potential_kv + np.asarray(potential_kv), 0.0),
        )


def forcing_from_kp(kp: FloatArray) -> HighLatitudeForcing:
    """Return the forcing of Kp (n,), the same for all members: arrays (n, 1)."""
    column = kp[:, np.newaxis]
    return HighLatitudeForcing(hemispheric_power_from_kp(column), cross_tail_potential_from_kp(column))


def forcing_from_solar_wind(
    wind: SolarWind, time: TimeArray, velocity_offset_km_s: ArrayLike = 0.0, density_offset_cm3: ArrayLike = 0.0
) -> HighLatitudeForcing:
    """Return the forcing of the solar wind that convection and aurora answer to at each time.

    This is the mean of each component of field and flow from 50 to 10 minutes before. OMNI is shifted to the nose of
    the bow shock already; from there the polar ionosphere begins to answer after 9 to 25 minutes (so the description
    of TIE-GCM, which averages likewise before it applies the formulas: hours, or t-20 to t-5 minutes), and convection
    takes as long again to settle, Ridley et al. (1998), doi:10.1029/97JA03328. The mean lag, 30 minutes, is a choice.
    Nothing of the future enters.

    Parameters
    ----------
    wind : SolarWind
    time : array (n,), datetime64[ns]
    velocity_offset_km_s, density_offset_cm3 : array_like (m,) or scalar
        Added to the means of every time.

    Returns
    -------
    HighLatitudeForcing
        Arrays (n, m), or (n, 1) where both offsets are scalars.

    Raises
    ------
    ThermodaError
        If the solar wind does not cover the times.
    """
    lagged = (time[:, np.newaxis] - _LAGS).ravel()
    by, bz, velocity, density = (
        wind.quantity_at(name, lagged).reshape(time.size, _LAGS.size).mean(axis=1)[:, np.newaxis]
        for name in COUPLING_QUANTITIES
    )
    velocity = velocity + np.asarray(velocity_offset_km_s, dtype=np.float64)
    density = density + np.asarray(density_offset_cm3, dtype=np.float64)
    potential = polar_cap_potential_kv(by, bz, velocity, density)
    power = np.broadcast_to(hemispheric_power_from_solar_wind(bz, velocity), potential.shape)
    return HighLatitudeForcing(power, potential)


def answered_span(wind: SolarWind) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and the last time whose forcing follows from measured solar wind alone."""
    first, last = wind.span(COUPLING_QUANTITIES)
    return first + OLDEST_LAG, last + YOUNGEST_LAG
