"""The one type for densities along a satellite's orbit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.errors import ThermodaError
from da.tracks.ordering import angular_separation, order_in_time

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

LATITUDE_KINDS = ("geodetic", "geocentric")

# A satellite that circles at 80 km, where none can stay, sweeps 360 deg in 5180 s, and the Earth turns by 0.0042 deg/s:
# 0.074 deg/s over the ground is beyond what one orbit can show. The margin covers rounding and averaging bins.
_FASTEST_DEG_S = 0.08
_MARGIN_DEG = 0.5


@dataclass(frozen=True, eq=False)
class DensityTrack:
    """Neutral mass densities along one satellite's orbit, in strictly increasing time.

    The arrays are stored as read-only copies. A track may be empty (as the result of `between`); readers never return
    an empty one.

    Parameters
    ----------
    satellite : str
        Name of the satellite, for tables and messages.
    time : array (n,), datetime64[ns]
        UTC.
    latitude, longitude : array (n,)
        Degrees; longitude in [-180, 180).
    altitude_km : array (n,)
        Height above the ellipsoid (or the sphere, see ``latitude_kind``) in km.
    density : array (n,)
        Total neutral mass density [kg m-3], positive.
    sigma : array (n,) or None
        Standard deviation of the density [kg m-3] where the product gives one.
    latitude_kind : {"geodetic", "geocentric"}
        What the product's latitude and altitude refer to.
    dropped : dict
        How many records were left out, by reason; reasons without a record do not appear.
    source : str
        File name or description of the origin.
    reordered : int
        How many records stood after a later one in their file and were put into order (kept, unlike ``dropped``).
    smoothing_s : float
        Width of the running mean of the density along the orbit that each record is [s]; 0: the density at its place.

    Raises
    ------
    ValueError
        If lengths differ, times do not increase strictly, or a value is not finite or out of range.
    """

    satellite: str
    time: TimeArray
    latitude: FloatArray
    longitude: FloatArray
    altitude_km: FloatArray
    density: FloatArray
    sigma: FloatArray | None = None
    latitude_kind: str = "geodetic"
    dropped: dict[str, int] = field(default_factory=dict)
    source: str = ""
    reordered: int = 0
    smoothing_s: float = 0.0

    def __post_init__(self) -> None:
        """Check every value and freeze the arrays."""
        self._freeze("time", np.array(self.time, dtype="datetime64[ns]"))
        for name in ("latitude", "longitude", "altitude_km", "density"):
            self._freeze(name, np.array(getattr(self, name), dtype=np.float64))
        if self.sigma is not None:
            self._freeze("sigma", np.array(self.sigma, dtype=np.float64))
        object.__setattr__(self, "dropped", dict(self.dropped))
        self._check_time()
        self._check("latitude", np.abs(self.latitude) <= 90.0, "between -90 and 90 deg")
        self._check("longitude", (self.longitude >= -180.0) & (self.longitude < 180.0), "in [-180, 180) deg")
        self._check("altitude_km", self.altitude_km > 0.0, "positive")
        self._check("density", self.density > 0.0, "positive")
        if self.sigma is not None:
            self._check("sigma", self.sigma > 0.0, "positive")
        if not 0.0 <= self.smoothing_s < np.inf:
            raise ValueError(f"smoothing_s must not be negative or infinite: {self.smoothing_s}")
        if self.latitude_kind not in LATITUDE_KINDS:
            raise ValueError(f"latitude_kind is {self.latitude_kind!r}, expected one of {LATITUDE_KINDS}")

    def __len__(self) -> int:
        """Return the number of records."""
        return int(self.time.size)

    def between(self, start: np.datetime64, stop: np.datetime64) -> DensityTrack:
        """Return the records with ``start <= time < stop``.

        ``dropped`` and ``reordered`` speak of the whole source and are handed on unchanged.

        Parameters
        ----------
        start, stop : datetime64
            UTC.

        Returns
        -------
        DensityTrack
            Possibly empty.

        Raises
        ------
        ValueError
            If ``stop`` lies before ``start`` or either is not a time.
        """
        window = np.array([start, stop], dtype="datetime64[ns]")
        if not window[0] <= window[1]:
            raise ValueError(f"the window [{start}, {stop}) does not go forward in time")
        low, high = np.searchsorted(self.time, window)
        return self._take(slice(int(low), int(high)))

    def _take(self, part: slice) -> DensityTrack:
        return DensityTrack(
            satellite=self.satellite,
            time=self.time[part],
            latitude=self.latitude[part],
            longitude=self.longitude[part],
            altitude_km=self.altitude_km[part],
            density=self.density[part],
            sigma=None if self.sigma is None else self.sigma[part],
            latitude_kind=self.latitude_kind,
            dropped=self.dropped,
            source=self.source,
            reordered=self.reordered,
            smoothing_s=self.smoothing_s,
        )

    def _freeze(self, name: str, values: NDArray[Any]) -> None:
        values.setflags(write=False)
        object.__setattr__(self, name, values)

    def _check_time(self) -> None:
        if self.time.ndim != 1:
            raise ValueError(f"time has {self.time.ndim} dimensions, expected 1")
        if np.isnat(self.time).any():
            raise ValueError("time holds a value that is not a time (NaT)")
        backward = np.flatnonzero(self.time[1:] <= self.time[:-1])
        if backward.size:
            raise ValueError(f"time does not increase strictly after {self.time[backward[0]]}")

    def _check(self, name: str, valid: NDArray[np.bool_], expected: str) -> None:
        values: FloatArray = getattr(self, name)
        if values.shape != self.time.shape:
            raise ValueError(f"{name} has shape {values.shape}, time has {self.time.shape}")
        wrong = np.flatnonzero(~(valid & np.isfinite(values)))
        if wrong.size:
            raise ValueError(f"{name}[{wrong[0]}] is {values[wrong[0]]}, expected finite and {expected}")


def concatenate(tracks: Sequence[DensityTrack]) -> DensityTrack:
    """Join the tracks of one satellite, usually one per file, into one in increasing time.

    Of several records with one time the first stays, in the order in which the tracks were given; the others are
    counted in ``dropped`` as ``duplicate`` (all values equal) or ``conflicting`` (another value at the same time).

    Parameters
    ----------
    tracks : sequence of DensityTrack
        At least one; in any order.

    Returns
    -------
    DensityTrack
        ``dropped`` and ``reordered`` are the sums over the parts; ``source`` names every part.

    Raises
    ------
    ValueError
        If there is no track, or the names of the satellites or the smoothing differ.
    ThermodaError
        If the parts cannot be one satellite's in one convention: only some have a ``sigma``, geodetic and
        geocentric latitudes are mixed, or the positions of different parts are too far apart for one orbit.
    """
    if not tracks:
        raise ValueError("no tracks to concatenate")
    first = tracks[0]
    for other in tracks[1:]:
        _check_joinable(first, other)
    time = np.concatenate([track.time for track in tracks])
    columns = np.concatenate([_columns(track) for track in tracks])
    part = np.repeat(np.arange(len(tracks)), [len(track) for track in tracks])
    _check_one_orbit(tracks, time, columns, part)
    ordering = order_in_time(time, columns)
    dropped = Counter(duplicate=ordering.duplicates, conflicting=ordering.conflicting)
    for track in tracks:
        dropped.update(track.dropped)
    columns = columns[ordering.keep]
    return DensityTrack(
        satellite=first.satellite,
        time=time[ordering.keep],
        latitude=columns[:, 0],
        longitude=columns[:, 1],
        altitude_km=columns[:, 2],
        density=columns[:, 3],
        sigma=None if first.sigma is None else columns[:, 4],
        latitude_kind=first.latitude_kind,
        dropped={reason: count for reason, count in dropped.items() if count},
        source=", ".join(dict.fromkeys(track.source for track in tracks)),
        reordered=sum(track.reordered for track in tracks),
        smoothing_s=first.smoothing_s,
    )


def _columns(track: DensityTrack) -> FloatArray:
    columns = [track.latitude, track.longitude, track.altitude_km, track.density]
    return np.column_stack(columns if track.sigma is None else [*columns, track.sigma])


def _check_joinable(first: DensityTrack, other: DensityTrack) -> None:
    if other.satellite != first.satellite:
        raise ValueError(f"tracks of different satellites: {first.satellite!r} and {other.satellite!r}")
    if other.smoothing_s != first.smoothing_s:
        raise ValueError(f"tracks of different smoothing: {first.smoothing_s:g} and {other.smoothing_s:g} s")
    if other.latitude_kind != first.latitude_kind:
        raise ThermodaError(
            f"{other.source} has {other.latitude_kind} latitudes but {first.source} has {first.latitude_kind} ones: "
            "give files of one product only"
        )
    if (other.sigma is None) != (first.sigma is None):
        without, having = (first, other) if first.sigma is None else (other, first)
        raise ThermodaError(
            f"{having.source} states an uncertainty of each density but {without.source} does not: "
            "give files of one product only"
        )


def _check_one_orbit(
    tracks: Sequence[DensityTrack], time: TimeArray, columns: FloatArray, part: NDArray[np.intp]
) -> None:
    """Refuse parts whose neighbouring records, in time, lie farther apart than one satellite can fly."""
    order = np.argsort(time, kind="stable")
    seam = np.flatnonzero(np.diff(part[order]))
    before, after = order[seam], order[seam + 1]
    elapsed_s = (time[after] - time[before]) / np.timedelta64(1, "s")
    apart = angular_separation(columns[before, 0], columns[before, 1], columns[after, 0], columns[after, 1])
    impossible = np.flatnonzero(apart > _FASTEST_DEG_S * elapsed_s + _MARGIN_DEG)
    # A single bad position must not condemn files that overlap properly, hence the majority.
    if 2 * impossible.size > seam.size:
        where = impossible[0]
        names = [tracks[part[index]].source for index in (before[where], after[where])]
        raise ThermodaError(
            f"{names[1]} is {apart[where]:.1f} deg away from {names[0]} within {elapsed_s[where]:.0f} s at "
            f"{np.datetime_as_string(time[after[where]], unit='s')}: give files of one satellite only"
        )
