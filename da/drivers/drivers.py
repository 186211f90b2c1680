"""The one object that answers, for any time: how active are Sun and magnetosphere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da.drivers.geomagnetic import (
    HISTORY_LAGS,
    MAX_KP_THIRDS,
    ApInterpolation,
    ap_history,
    kp_thirds_to_ap,
    lagged_values,
    locate,
    shifted_kp_thirds,
)
from da.drivers.hemispheric_power import HemisphericPower
from da.drivers.high_latitude import (
    COUPLING_QUANTITIES,
    HISTORY,
    OLDEST_LAG,
    YOUNGEST_LAG,
    HighLatitudeForcing,
    OutsideSolarWind,
    answered_span,
    forcing_from_kp,
    forcing_from_solar_wind,
)
from da.drivers.solar_wind import SolarWind
from da.errors import ThermodaError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TimeArray = NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Drivers:
    """Solar and geomagnetic drivers of consecutive UTC days.

    Every ``time`` is UTC, ``datetime64``, scalar or array (n,); every answer is an array (n,) or (n, 7). A time that
    needs a value which the object does not hold raises `da.errors.ThermodaError`.

    Parameters
    ----------
    day : array (d,), datetime64[D]
        Consecutive days.
    f107_observed_sfu : array (d,)
        Daily F10.7 as observed (not adjusted to 1 au) [sfu].
    f107_81day_sfu : array (d,)
        Centred 81-day mean of the observed F10.7 [sfu].
    kp_thirds : array (8 d,), int
        Kp in thirds, 0 to 27.
    ap_interpolation : ApInterpolation
        How ap (and Kp, for the empirical high-latitude forcing) is read between 3-hour intervals.
    solar_wind : SolarWind or None
        What high-latitude forcing is computed from; where None, it is computed from Kp.
    hemispheric_power : HemisphericPower or None
        Measured; where None, hemispheric power is computed as the potential is.
    outside_solar_wind : OutsideSolarWind
        Whether Kp is used before and after the measurements of the solar wind (never in gaps between them).
    source : str
        Where the indices come from.

    Raises
    ------
    ValueError
        If lengths differ, days are not consecutive, or a value is out of range.
    """

    day: TimeArray
    f107_observed_sfu: FloatArray
    f107_81day_sfu: FloatArray
    kp_thirds: IntArray
    ap_interpolation: ApInterpolation = ApInterpolation.MIDPOINTS
    solar_wind: SolarWind | None = None
    hemispheric_power: HemisphericPower | None = None
    outside_solar_wind: OutsideSolarWind = OutsideSolarWind.REFUSE
    source: str = ""
    _start: np.datetime64 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        count = self.day.size
        if count == 0 or self.day.dtype != np.dtype("datetime64[D]") or np.any(np.diff(self.day) != _DAY):
            raise ValueError("day must be consecutive days of type datetime64[D], at least one")
        if self.f107_observed_sfu.shape != (count,) or self.f107_81day_sfu.shape != (count,):
            raise ValueError(f"both F10.7 series must have {count} values, one a day")
        if self.kp_thirds.shape != (8 * count,) or not np.issubdtype(self.kp_thirds.dtype, np.integer):
            raise ValueError(f"kp_thirds must be {8 * count} integers, eight a day")
        if self.kp_thirds.min() < 0 or self.kp_thirds.max() > MAX_KP_THIRDS:
            raise ValueError("kp_thirds must lie within 0 and 27")
        flux = np.concatenate([self.f107_observed_sfu, self.f107_81day_sfu])
        if not np.all(np.isfinite(flux) & (flux > 0)):
            raise ValueError("F10.7 must be finite and positive")
        object.__setattr__(self, "_start", self.day[0].astype("datetime64[ns]"))

    def f107_previous_day(self, time: ArrayLike) -> FloatArray:
        """Return the observed F10.7 of the UTC day before each time [sfu], (n,): what NRLMSIS takes."""
        return self.f107_observed_sfu[self._day_index(_times(time), -1)]

    def f107_81day(self, time: ArrayLike) -> FloatArray:
        """Return the centred 81-day mean of F10.7 of the UTC day of each time [sfu], (n,)."""
        return self.f107_81day_sfu[self._day_index(_times(time), 0)]

    def kp(self, time: ArrayLike) -> FloatArray:
        """Return the Kp of the half-open 3-hour interval that contains each time, (n,); never interpolated."""
        times = _times(time)
        self._check(times, ApInterpolation.STEPPED, lags=1)
        index, _ = locate(times, self._start, self.kp_thirds.size, ApInterpolation.STEPPED)
        return np.asarray(self.kp_thirds[index] / 3.0, dtype=np.float64)

    def ap(self, time: ArrayLike, kp_offset: float = 0.0) -> FloatArray:
        """Return the 3-hourly ap at each time [2 nT], (n,), between intervals as ``ap_interpolation`` says.

        Parameters
        ----------
        time : array_like (n,), datetime64
        kp_offset : float
            Added to every Kp, which is then clipped to [0, 9] and turned into ap, linearly between thirds.

        Returns
        -------
        array (n,)
        """
        times = _times(time)
        self._check(times, self.ap_interpolation, lags=1)
        return lagged_values(self._ap_series(kp_offset), self._start, times, self.ap_interpolation, lags=1)[:, 0]

    def ap_history(self, time: ArrayLike, kp_offset: float = 0.0) -> FloatArray:
        """Return the seven ap values of NRLMSIS's storm-time mode at each time [2 nT].

        Parameters
        ----------
        time : array_like (n,), datetime64
        kp_offset : float
            As in `ap`.

        Returns
        -------
        array (n, 7)
            Daily Ap of the UTC day; ap now, 3, 6 and 9 h before; mean ap 12 to 33 h and 36 to 57 h before.
            See `da.drivers.geomagnetic.ap_history`.
        """
        times = _times(time)
        self._check(times, self.ap_interpolation, lags=HISTORY_LAGS)
        return ap_history(self._ap_series(kp_offset), self.day[0], times, self.ap_interpolation)

    def hemispheric_power_gw(self, time: ArrayLike) -> FloatArray:
        """Return the auroral power into one hemisphere [GW], (n,): `high_latitude` without offsets."""
        if self.hemispheric_power is not None:
            return self.hemispheric_power.at(_times(time))
        return self.high_latitude(time).hemispheric_power_gw[:, 0]

    def cross_tail_potential_kv(self, time: ArrayLike) -> FloatArray:
        """Return the potential across the polar cap [kV], (n,): `high_latitude` without offsets."""
        return self._empirical_forcing(_times(time), 0.0, 0.0).cross_tail_potential_kv[:, 0]

    def high_latitude(
        self,
        time: ArrayLike,
        *,
        velocity_offset_km_s: ArrayLike = 0.0,
        density_offset_cm3: ArrayLike = 0.0,
        power_offset_gw: ArrayLike = 0.0,
        potential_offset_kv: ArrayLike = 0.0,
    ) -> HighLatitudeForcing:
        """Return hemispheric power and cross-tail potential of members with offsets of their own.

        From the solar wind where there is one (`da.drivers.high_latitude`), otherwise from Kp, which is interpolated
        in time as ap is (TIE-GCM, too, interpolates Kp between the mid-points of its intervals). Hemispheric power is
        the measured one where there is one; offsets of the solar wind then change the potential alone. At times that
        ``outside_solar_wind`` leaves to Kp they change nothing.

        Parameters
        ----------
        time : array_like (n,), datetime64
        velocity_offset_km_s, density_offset_cm3 : array_like (m,) or scalar
            Added to the solar wind.
        power_offset_gw, potential_offset_kv : array_like (m,) or scalar
            Added to the results, which do not become negative.

        Returns
        -------
        HighLatitudeForcing
            Arrays (n, m), or (n, 1) where all offsets are scalars.

        Raises
        ------
        ThermodaError
            If a time is not covered.
        ValueError
            If the solar wind has offsets but these drivers follow Kp.
        """
        times = _times(time)
        if self.solar_wind is None and (np.any(velocity_offset_km_s) or np.any(density_offset_cm3)):
            raise ValueError("these drivers follow Kp: offsets of the solar wind would change nothing")
        forcing = self._empirical_forcing(times, velocity_offset_km_s, density_offset_cm3)
        if self.hemispheric_power is not None:
            measured = self.hemispheric_power.at(times)[:, np.newaxis]
            forcing = replace(forcing, hemispheric_power_gw=np.broadcast_to(measured, forcing.shape))
        return forcing.with_offsets(power_offset_gw, potential_offset_kv)

    def high_latitude_description(self) -> dict[str, str]:
        """Return in words what hemispheric power and cross-tail potential come from, for the record of a run."""
        potential = "Kp"
        if self.solar_wind is not None:
            potential = self.solar_wind.source or "solar wind"
            if self.outside_solar_wind is OutsideSolarWind.KP:
                first, last = (edge.astype("datetime64[m]") for edge in answered_span(self.solar_wind))
                potential += f", of what the run needs from {first} to {last}; Kp before and after"
        measured = self.hemispheric_power
        power = potential if measured is None else measured.source or "measured"
        return {"indices": self.source, "cross_tail_potential": potential, "hemispheric_power": power}

    def require(self, start: np.datetime64, stop: np.datetime64) -> None:
        """Refuse a period that these drivers do not cover, both ends and their histories included.

        Kp must reach back over the ap history; solar wind and measured hemispheric power over the 72 h that nitric
        oxide remembers.

        Raises
        ------
        ValueError
            If ``stop`` comes before ``start``.
        ThermodaError
            If the table, the solar wind or the measured hemispheric power do not cover ``[start, stop]``.
        """
        if not start <= stop:
            raise ValueError(f"stop {stop} comes before start {start}")
        self._check(_times([start, stop]), self.ap_interpolation, lags=HISTORY_LAGS)
        if self.solar_wind is not None:
            self._require_solar_wind(self.solar_wind, start, stop)
        if self.hemispheric_power is not None:
            self.hemispheric_power.require(start - HISTORY, stop)

    def _require_solar_wind(self, wind: SolarWind, start: np.datetime64, stop: np.datetime64) -> None:
        first, last = start - HISTORY, stop
        if self.outside_solar_wind is OutsideSolarWind.KP:
            self._check(_times([first, last]), self.ap_interpolation, lags=1)
            begin, end = answered_span(wind)
            if begin > stop or end < start:
                raise ThermodaError(
                    f"{wind.source or 'solar wind'}: drives times from {begin} to {end}, none of which is within "
                    f"{start} to {stop}; give other files, or drive by Kp alone (high_latitude_source: kp)"
                )
            first, last = max(first, begin), min(last, end)
        wind.require(first - OLDEST_LAG, last - YOUNGEST_LAG, COUPLING_QUANTITIES)

    def _empirical_forcing(
        self, times: TimeArray, velocity_offset_km_s: ArrayLike, density_offset_cm3: ArrayLike
    ) -> HighLatitudeForcing:
        if self.solar_wind is None:
            return forcing_from_kp(self._interpolated_kp(times))
        windy = np.ones(times.size, dtype=bool)
        if self.outside_solar_wind is OutsideSolarWind.KP:
            begin, end = answered_span(self.solar_wind)
            windy = (times >= begin) & (times <= end)
        by_wind = forcing_from_solar_wind(self.solar_wind, times[windy], velocity_offset_km_s, density_offset_cm3)
        if windy.all():
            return by_wind
        return by_wind.merged(forcing_from_kp(self._interpolated_kp(times[~windy])), windy)

    def _ap_series(self, kp_offset: float) -> FloatArray:
        return kp_thirds_to_ap(shifted_kp_thirds(self.kp_thirds, kp_offset))

    def _interpolated_kp(self, times: TimeArray) -> FloatArray:
        self._check(times, self.ap_interpolation, lags=1)
        thirds = self.kp_thirds.astype(np.float64)
        # Weights of interpolation add up to one but for rounding, and Kp does not exceed 9.
        return np.clip(lagged_values(thirds, self._start, times, self.ap_interpolation, lags=1)[:, 0] / 3.0, 0.0, 9.0)

    def _day_index(self, times: TimeArray, offset: int) -> IntArray:
        index = (times.astype("datetime64[D]") - self.day[0]).astype(np.int64) + offset
        if bad := np.flatnonzero((index < 0) | (index >= self.day.size)).tolist():
            wanted = times[bad[0]].astype("datetime64[D]") + offset
            raise ThermodaError(f"{self._held()}; the F10.7 of {wanted} is needed")
        return np.asarray(index, dtype=np.int64)

    def _check(self, times: TimeArray, interpolation: ApInterpolation, lags: int) -> None:
        try:
            locate(times, self._start, self.kp_thirds.size, interpolation, lags)
        except ValueError:
            what = "ap and its history over 57 h" if lags > 1 else "Kp or ap"
            raise ThermodaError(
                f"{self._held()}; that does not cover {what} from {times.min()} to {times.max()} ({interpolation})"
            ) from None

    def _held(self) -> str:
        return f"{self.source or 'drivers'}: holds the days {self.day[0]} to {self.day[-1]}"


def _times(time: ArrayLike) -> TimeArray:
    times = np.atleast_1d(np.asarray(time))
    if times.dtype.kind != "M":
        raise TypeError(f"time must be datetime64, not {times.dtype}")
    return times.astype("datetime64[ns]")
