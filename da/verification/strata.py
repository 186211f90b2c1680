"""Groups of points: by Kp, local time, latitude, altitude, day and night, and phase of the storm.

A grouping gives each point the number of its group, or -1 where it belongs to none; statistics of groups add like those
of all points. Bounds are half-open, the last upper one is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from da.verification.chunks import Addable
from da.verification.keyed_sums import FloatArray, IntArray
from da.verification.sampling import Points
from da.verification.storm import PHASES, phase_masks

BoolArray = NDArray[np.bool_]
TimeArray = NDArray[np.datetime64]
Statistic = TypeVar("Statistic", bound=Addable)

KP_EDGES = (0.0, 2.0, 4.0, 5.0, 6.0, 9.0)
LATITUDE_EDGES = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0, 90.0)
LOCAL_TIME_EDGES = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0, 24.0)
ALTITUDE_STEP_KM = 25.0

_J2000 = np.datetime64("2000-01-01T12:00", "ns")
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Grouping:
    """One way to divide points.

    Parameters
    ----------
    name : str
        Such as "Kp" or "latitude".
    labels : tuple of str
        Of the groups, in order.
    group : array of int (n,)
        Number of each point's group; -1: none.
    """

    name: str
    labels: tuple[str, ...]
    group: IntArray

    def masks(self) -> list[tuple[str, BoolArray]]:
        """Return label and points (n,) of each group that has any."""
        found = [(label, self.group == number) for number, label in enumerate(self.labels)]
        return [(label, mask) for label, mask in found if mask.any()]


def by_edges(name: str, values: FloatArray, edges: Sequence[float], unit: str = "") -> Grouping:
    """Return the grouping of values (n,) by increasing edges; NaN and values outside belong to no group."""
    bounds = np.asarray(edges, dtype=np.float64)
    if not np.all(np.diff(bounds) > 0.0):
        raise ValueError(f"edges must increase, not {list(edges)}")
    group = np.searchsorted(bounds, values, side="right") - 1
    group = np.where(values == bounds[-1], bounds.size - 2, group)
    group = np.where((group < 0) | (group > bounds.size - 2) | np.isnan(values), -1, group)
    labels = tuple(f"{low:g} to {high:g}{unit}" for low, high in zip(edges[:-1], edges[1:], strict=True))
    return Grouping(name, labels, group.astype(np.int64))


def local_time_h(time: TimeArray, longitude: FloatArray) -> FloatArray:
    """Return local mean solar time [h] in [0, 24): universal time plus longitude over 15 degrees per hour."""
    hours = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    return np.asarray(np.mod(hours + longitude / 15.0, 24.0))


def solar_zenith_deg(time: TimeArray, latitude: FloatArray, longitude: FloatArray) -> FloatArray:
    """Return the solar zenith angle [degrees] (n,).

    The Sun's longitude and the equation of time are those of the Astronomical Almanac's low-precision formulas (0.01
    degrees from 1950 to 2050). Refraction and the height of the point are left out: "day" is where the Sun stands above
    the horizontal plane of the point, although a satellite at 400 km sees it until about 110 degrees.

    Parameters
    ----------
    time : array (n,), datetime64[ns]
    latitude, longitude : array (n,)
        Degrees.
    """
    days = (time - _J2000) / _DAY
    anomaly = np.radians(357.528 + 0.9856003 * days)
    mean_longitude = 280.460 + 0.9856474 * days
    ecliptic = np.radians(mean_longitude + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    obliquity = np.radians(23.439 - 4e-7 * days)
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic))
    right_ascension = np.degrees(np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic)))
    # True minus mean solar time is the equation of time.
    equation = np.mod(mean_longitude - right_ascension + 180.0, 360.0) - 180.0
    hour_angle = np.radians(15.0 * (local_time_h(time, longitude) - 12.0) + equation)
    phi = np.radians(latitude)
    cosine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def altitude_edges(altitude_km: FloatArray, step_km: float = ALTITUDE_STEP_KM) -> tuple[float, ...]:
    """Return multiples of the step that enclose the altitudes (n,)."""
    low = step_km * np.floor(np.nanmin(altitude_km) / step_km)
    high = step_km * (np.floor(np.nanmax(altitude_km) / step_km) + 1.0)
    return tuple(float(edge) for edge in np.arange(low, high + 0.5 * step_km, step_km))


def groupings(points: Points, kp: FloatArray, epoch: np.datetime64 | None) -> tuple[Grouping, ...]:
    """Return all groupings of points (n,).

    Parameters
    ----------
    points : Points
    kp : array (n,)
    epoch : datetime64[ns] or None
        Of the storm; None: no grouping by phase.
    """
    zenith = solar_zenith_deg(points.time, points.latitude, points.longitude)
    found = [
        by_edges("Kp", kp, KP_EDGES),
        by_edges("local time", local_time_h(points.time, points.longitude), LOCAL_TIME_EDGES, " h"),
        Grouping("sunlight", ("day", "night"), np.where(np.isnan(zenith), -1, zenith >= 90.0).astype(np.int64)),
        by_edges("latitude", points.latitude, LATITUDE_EDGES, " deg"),
        by_edges("altitude", points.altitude_km, altitude_edges(points.altitude_km), " km"),
    ]
    if epoch is not None:
        group = np.full(kp.size, -1, dtype=np.int64)
        for number, mask in enumerate(phase_masks(points.time, epoch).values()):
            group[mask] = number
        found.insert(0, Grouping("storm phase", tuple(PHASES), group))
    return tuple(found)


def by_group(grouping: Grouping, statistic: Callable[[BoolArray], Statistic]) -> dict[str, Statistic]:
    """Return the statistic of each group that has points; dictionaries of chunks are added by :func:`add_groups`."""
    return {label: statistic(mask) for label, mask in grouping.masks()}


def add_groups(first: dict[str, Statistic], second: dict[str, Statistic]) -> dict[str, Statistic]:
    """Return the statistics of both sets of points, group by group, in the order of first appearance."""
    both = dict(first)
    for label, statistic in second.items():
        both[label] = both[label] + statistic if label in both else statistic
    return both
