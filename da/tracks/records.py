"""From the raw records of a file to a clean `DensityTrack`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.tracks.ordering import order_in_time
from da.tracks.track import DensityTrack, FloatArray, TimeArray
from da.tracks.wrong_units import is_plausible, likely_cause, usual_density

# Wide bounds, only to tell fill values and wrong units from measurements: no satellite of these products flies below
# 80 km or above 2000 km, and the air at 80 km weighs 2e-5 kg m-3 (US Standard Atmosphere 1976).
LOWEST_ALTITUDE_KM = 80.0
HIGHEST_ALTITUDE_KM = 2000.0
LARGEST_DENSITY = 1e-4


@dataclass(frozen=True)
class RawRecords:
    """All records of one file, converted to the units of a track but not yet sifted.

    Parameters
    ----------
    time : array (n,), datetime64
        UTC; NaT where missing.
    latitude, longitude : array (n,)
        Degrees, any turn; NaN where missing.
    altitude_km, density : array (n,)
        km and kg m-3; NaN where missing.
    sigma : array (n,) or None
        Standard deviation of the density [kg m-3].
    flagged : array (n,) of bool or None
        Records that the product itself declares anomalous.
    latitude_kind : {"geodetic", "geocentric"}
        What latitude and altitude refer to.
    """

    time: TimeArray
    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray
    density: FloatArray
    sigma: FloatArray | None = None
    flagged: NDArray[np.bool_] | None = None
    latitude_kind: str = "geodetic"


def clean_track(records: RawRecords, satellite: str, source: str) -> DensityTrack:
    """Leave out what is no measurement, order the rest in time, and count what was left out.

    The reasons, of which the first that applies is counted: ``missing`` (fill value, NaN or infinity in a needed
    field), ``flagged`` (declared anomalous by the product), ``not_positive`` (density or its standard deviation),
    ``out_of_range`` (beyond any thermospheric satellite: latitude over 90 deg, altitude outside 80-2000 km, density
    of 1e-4 kg m-3 or more), ``duplicate`` (an earlier record again), ``conflicting`` (an earlier record's time with
    another value; the earlier one stays). Gaps stay gaps.

    Parameters
    ----------
    records : RawRecords
        As read.
    satellite, source : str
        Names of satellite and file.

    Returns
    -------
    DensityTrack
        With at least one record.

    Raises
    ------
    ThermodaError
        If no record is left, or most densities are beyond any air, as in another unit.
    """
    _refuse_other_unit(records, source)
    reasons = _reasons(records)
    dropped: dict[str, int] = {}
    valid = np.ones(records.time.shape, dtype=bool)
    for reason, applies in reasons.items():
        dropped[reason] = int(np.count_nonzero(valid & applies))
        valid &= ~applies
    if not valid.any():
        raise ThermodaError(f"{source}: no valid record among {valid.size} ({_tally(dropped)})")
    time = records.time[valid].astype("datetime64[ns]")
    columns = [
        records.latitude[valid],
        wrap_longitude(records.longitude[valid]),
        records.altitude_km[valid],
        records.density[valid],
    ]
    if records.sigma is not None:
        columns.append(records.sigma[valid])
    ordering = order_in_time(time, np.column_stack(columns))
    dropped |= {"duplicate": ordering.duplicates, "conflicting": ordering.conflicting}
    kept = [column[ordering.keep] for column in columns]
    return DensityTrack(
        satellite=satellite,
        time=time[ordering.keep],
        latitude=kept[0],
        longitude=kept[1],
        altitude_km=kept[2],
        density=kept[3],
        sigma=None if records.sigma is None else kept[4],
        latitude_kind=records.latitude_kind,
        dropped={reason: count for reason, count in dropped.items() if count},
        source=source,
        reordered=ordering.reordered,
    )


def _refuse_other_unit(records: RawRecords, source: str) -> None:
    """Raise ThermodaError where most densities would be left out as out of range because of their unit."""
    inside = (records.altitude_km >= LOWEST_ALTITUDE_KM) & (records.altitude_km <= HIGHEST_ALTITUDE_KM)
    density, altitude_km = (
        values[inside & np.isfinite(records.density) & (records.density > 0.0)]
        for values in (records.density, records.altitude_km)
    )
    heavy = density[density >= LARGEST_DENSITY]
    # A single number again and again is a fill value.
    if 2 * heavy.size <= density.size or np.ptp(heavy) == 0.0:
        return
    # A damaged file may hold any number: the ratio itself might overflow.
    ratio = 10.0 ** min(float(np.median(np.log10(density) - np.log10(usual_density(altitude_km)))), 300.0)
    if not is_plausible(ratio):
        raise ThermodaError(
            f"{source}: its densities are {ratio:.1e} times what air usually weighs at {np.median(altitude_km):.0f} km "
            f"(median of {density.size}): {likely_cause(ratio)}"
        )


def wrap_longitude(longitude: FloatArray) -> FloatArray:
    """Return longitudes in [-180, 180) deg; values already there are not touched, not even by rounding."""
    wrapped = np.mod(longitude + 180.0, 360.0) - 180.0
    # A tiny negative angle plus 360 rounds to 360 itself, whose place is the other end of the interval.
    wrapped = np.where(wrapped >= 180.0, -180.0, wrapped)
    inside = (longitude >= -180.0) & (longitude < 180.0)
    result: FloatArray = np.where(inside, longitude, wrapped)
    return result


def _reasons(records: RawRecords) -> dict[str, NDArray[np.bool_]]:
    sigma = np.ones_like(records.density) if records.sigma is None else records.sigma
    needed = (records.latitude, records.longitude, records.altitude_km, records.density, sigma)
    finite = np.logical_and.reduce([np.isfinite(values) for values in needed])
    in_range = (
        (np.abs(records.latitude) <= 90.0)
        & (np.abs(records.longitude) <= 540.0)
        & (records.altitude_km >= LOWEST_ALTITUDE_KM)
        & (records.altitude_km <= HIGHEST_ALTITUDE_KM)
        & (records.density < LARGEST_DENSITY)
    )
    return {
        "missing": np.isnat(records.time) | ~finite,
        "flagged": np.zeros(records.time.shape, dtype=bool) if records.flagged is None else records.flagged,
        "not_positive": (records.density <= 0.0) | (sigma <= 0.0),
        "out_of_range": ~in_range,
    }


def _tally(dropped: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in dropped.items() if count)
