"""Orbits from two-line element sets, by the propagator that they are made for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sgp4.api import SGP4_ERRORS, Satrec
from sgp4.io import compute_checksum

from da.errors import ThermodaError
from da.geodesy import geodetic_from_cartesian, greenwich_sidereal_angle_deg
from da.input_file import read_ascii_lines
from da.twin.orbit import GeodeticPosition

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

LONGEST_AGE = np.timedelta64(14, "D")
"""How far from its epoch an element set is used. In low orbits the error along the track grows to some 100 km within
that time, a quarter of a minute of flight; beyond it, and in storms, drag makes it grow fast."""

_DAY_NS = 86_400_000_000_000
_JULIAN_DATE_OF_1970 = 2440587.5
_LAST_DAY = 32_000
"""Days from 1970 to beyond 2056, the last year that two digits tell."""

_LINE_LENGTH = 69


@dataclass(frozen=True)
class TwoLineOrbit:
    """An orbit propagated with SGP4 (Vallado et al. 2006, doi:10.2514/6.2006-6753).

    Parameters
    ----------
    first, second : str
        The two lines, with their check sums.
    where : str
        Begins error messages: the file or the key that the lines come from.

    Raises
    ------
    ThermodaError
        If the lines are not a two-line element set.
    """

    first: str
    second: str
    where: str = "two-line elements"

    def __post_init__(self) -> None:
        """Refuse lines that the propagator would misread silently."""
        for number, line in (("1", self.first), ("2", self.second)):
            if len(line) != _LINE_LENGTH or not line.startswith(f"{number} ") or not line.isascii():
                raise ThermodaError(
                    f"{self.where}: line {number} must begin with '{number} ' and have {_LINE_LENGTH} characters: "
                    f"'{line}'"
                )
            if line[68] != str(compute_checksum(line)):
                raise ThermodaError(
                    f"{self.where}: the check sum of line {number} is {line[68]}, but its digits give "
                    f"{compute_checksum(line)}: '{line}'"
                )
        if self.first[2:7] != self.second[2:7]:
            raise ThermodaError(f"{self.where}: the lines are of satellites {self.first[2:7]} and {self.second[2:7]}")
        _ = self.epoch

    @cached_property
    def _record(self) -> Satrec:
        try:
            record = Satrec.twoline2rv(self.first, self.second)
        except ValueError as error:
            raise ThermodaError(f"{self.where}: not a two-line element set ({error})") from error
        if record.error:
            raise ThermodaError(f"{self.where}: {SGP4_ERRORS[record.error]}")
        return record

    @cached_property
    def epoch(self) -> np.datetime64:
        """Epoch of the elements, UTC."""
        days = (self._record.jdsatepoch - _JULIAN_DATE_OF_1970) + self._record.jdsatepochF
        if not abs(days) <= _LAST_DAY:
            raise ThermodaError(f"{self.where}: the epoch '{self.first[18:32]}' is no year and day of the year")
        return np.datetime64("1970-01-01", "ns") + np.timedelta64(round(days * 86400.0e6) * 1000, "ns")

    def positions(self, time: ArrayLike) -> GeodeticPosition:
        """Return where the satellite is.

        The propagator's frame (true equator, mean equinox) is turned by Greenwich mean sidereal time; the motion of the
        pole, less than 20 m, is left out.

        Parameters
        ----------
        time : array (n,) or scalar, datetime64, UTC

        Returns
        -------
        GeodeticPosition
            Arrays (n,): geodetic latitude, longitude, height above the WGS84 ellipsoid [km].

        Raises
        ------
        ThermodaError
            If a time lies more than 14 days from the epoch, or the satellite has decayed by then.
        """
        stamps: TimeArray = np.atleast_1d(np.asarray(time, dtype="datetime64[ns]"))
        self._refuse_far(stamps)
        x, y, z = self.inertial_positions(stamps).T
        longitude = np.degrees(np.arctan2(y, x)) - greenwich_sidereal_angle_deg(stamps)
        latitude, height = geodetic_from_cartesian(1e3 * np.hypot(x, y), 1e3 * z)
        return GeodeticPosition(latitude, np.mod(longitude + 180.0, 360.0) - 180.0, 1.0e-3 * height)

    def inertial_positions(self, time: TimeArray) -> FloatArray:
        """Return positions [km], (n, 3), in the propagator's frame (true equator, mean equinox)."""
        days, rest = np.divmod(time.astype("datetime64[ns]").astype(np.int64), _DAY_NS)
        error, position, _ = self._record.sgp4_array(_JULIAN_DATE_OF_1970 + days, rest / _DAY_NS)
        if bad := np.flatnonzero(error).tolist():
            raise ThermodaError(f"{self.where}: {SGP4_ERRORS[int(error[bad[0]])]}, at {time[bad[0]]}")
        # Signs, blanks and letters inside a number make it NaN, without an error of the propagator.
        if not np.isfinite(position).all():
            raise ThermodaError(f"{self.where}: the elements give no position; a number among them is malformed")
        return np.asarray(position, dtype=np.float64)

    def _refuse_far(self, time: TimeArray) -> None:
        far = np.abs(time - self.epoch) > LONGEST_AGE
        if np.any(far):
            raise ThermodaError(
                f"{self.where}: the epoch of the elements, {self.epoch.astype('datetime64[m]')}, lies more than "
                f"{LONGEST_AGE.astype(np.int64)} days from {time[far][0].astype('datetime64[m]')}; "
                "take elements of the period of the run"
            )


def read_two_line_elements(path: Path, time: np.datetime64, satellite: int | None = None) -> TwoLineOrbit:
    """Return the set of a file whose epoch lies nearest to a time.

    Parameters
    ----------
    path : Path
        Text with one set or more, each of two lines; lines that begin with neither '1 ' nor '2 ' are names.
    time : datetime64
    satellite : int or None
        Catalogue number where the file holds several satellites.

    Raises
    ------
    ThermodaError
        If the file cannot be read, holds no set (of the satellite), or several satellites and none is chosen.
    """
    try:
        lines = read_ascii_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ThermodaError(f"{path}: cannot be read as two-line elements ({error})") from error
    sets = []
    for number in range(len(lines) - 1):
        first, second = lines[number].rstrip(), lines[number + 1].rstrip()
        if first.startswith("1 ") and second.startswith("2 "):
            sets.append(TwoLineOrbit(first, second, f"{path}, line {number + 1}"))
    found = {one.first[2:7].strip() for one in sets}
    if satellite is not None:
        sets = [one for one in sets if one.first[2:7].strip() == f"{satellite:05d}"]
    if not sets:
        what = "" if satellite is None else f" of satellite {satellite}; it has {', '.join(sorted(found)) or 'none'}"
        raise ThermodaError(f"{path}: holds no two-line elements{what}")
    if satellite is None and len(found) > 1:
        raise ThermodaError(f"{path}: holds the satellites {', '.join(sorted(found))}; name one of them")
    return min(sets, key=lambda one: abs(one.epoch - time))
