"""Free runs of the column model and the statistics that ``free_run.py`` prints of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from da.drivers import Drivers, load_drivers
from da.model import MemberInputs
from da.msis import Msis
from da.observing import density_operator
from da.operators import DensityOperator
from model_adapters.column_physics.adapter import ColumnPhysics, ColumnPhysicsSettings
from model_adapters.column_physics.geomagnetic import dipole_axis

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
TimeArray = NDArray[np.datetime64]

HOUR = np.timedelta64(3600, "s").astype("timedelta64[ns]")
DAY = 24 * HOUR

QUIET_KP_THIRDS = 6
"""Kp of the quiet companion of a run is real, but 2 at most."""


def moment(text: str) -> np.datetime64:
    """Return a UTC time in nanoseconds."""
    return np.datetime64(text, "ns")


def drivers_for(start: np.datetime64, stop: np.datetime64) -> Drivers:
    """Return real indices with the history that NRLMSIS and NO need."""
    return load_drivers(start - 10 * DAY, stop + 2 * DAY)


def quiet_companion(drivers: Drivers) -> Drivers:
    """Return the drivers with Kp of 2 at most."""
    return replace(drivers, kp_thirds=np.minimum(drivers.kp_thirds, QUIET_KP_THIRDS))


@dataclass(frozen=True)
class Snapshot:
    """Density [kg m-3] and height [m] of the members on the state grid at one time."""

    time: np.datetime64
    density: FloatArray
    height: FloatArray


@dataclass(frozen=True)
class FreeRun:
    """A model, its observation operator and hourly snapshots."""

    model: ColumnPhysics
    drivers: Drivers
    snapshots: Sequence[Snapshot]

    @property
    def operator(self) -> DensityOperator:
        """Observation operator of the model."""
        return density_operator(self.model)

    @property
    def time(self) -> TimeArray:
        """Times of the snapshots."""
        return np.array([one.time for one in self.snapshots])

    def log_density(
        self, number: int, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray, ratio: FloatArray
    ) -> FloatArray:
        """Return ln rho (altitudes, latitudes, longitudes, members) of a snapshot; ``ratio`` is that of total mass."""
        one = self.snapshots[number]
        north, east = (axis.ravel() for axis in np.meshgrid(latitude, longitude, indexing="ij"))
        operator = self.operator
        stencil = operator.stencil(north, east)
        layers = [
            operator.at_points(one.density, one.height, stencil, np.full(north.size, level), ratio[k].ravel())
            for k, level in enumerate(altitude_km)
        ]
        return np.log(np.array(layers)).reshape(altitude_km.size, latitude.size, longitude.size, -1)

    def along(
        self, time: TimeArray, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray, ratio: FloatArray
    ) -> FloatArray:
        """Return ln rho (points,) of the only member along a track, linear in time between snapshots."""
        stamps = self.time
        first = np.clip(np.searchsorted(stamps, time, side="right") - 1, 0, stamps.size - 2)
        share = (time - stamps[first]) / (stamps[first + 1] - stamps[first])
        operator, result = self.operator, np.zeros(time.size)
        for number in np.unique(first):
            here = np.flatnonzero(first == number)
            stencil = operator.stencil(latitude[here], longitude[here])
            for one, weight in ((number, 1.0 - share[here]), (number + 1, share[here])):
                fields = self.snapshots[one]
                density = operator.at_points(fields.density, fields.height, stencil, altitude_km[here], ratio[here])
                result[here] += weight * np.log(density[:, 0])
        return result


def run_free(
    resolution_deg: float,
    drivers: Drivers,
    start: np.datetime64,
    stop: np.datetime64,
    perturbations: Mapping[str, FloatArray],
    *,
    spin_up_days: int,
    step: np.timedelta64 = HOUR,
    perturbed_spin_up: bool = True,
) -> FreeRun:
    """Run freely from ``start`` to ``stop``, both stored.

    Parameters
    ----------
    perturbations : dict of name -> array (members,)
        Empty for one unperturbed member.
    spin_up_days : int
        Run before ``start``.
    step : timedelta64
        Between snapshots.
    perturbed_spin_up : bool
        If not, all members are the same until ``start``.
    """
    model = ColumnPhysics(ColumnPhysicsSettings(resolution_deg=resolution_deg))
    members = next((values.size for values in perturbations.values()), 1)
    inputs = MemberInputs(perturbations, drivers)
    spin_up = inputs if perturbed_spin_up else MemberInputs({}, drivers)
    before = start - spin_up_days * DAY
    rngs = [np.random.default_rng(member) for member in range(members)]
    states = model.forecast(model.initial(before, spin_up, rngs), before, start, spin_up)
    operator, snapshots, now = density_operator(model), [], start
    while True:
        density = operator.on_grid(model.layout.split(states))
        snapshots.append(Snapshot(now, density, model.height(states, now, inputs)))
        if now >= stop:
            return FreeRun(model, drivers, snapshots)
        states = model.forecast(states, now, now + step, inputs)
        now = now + step


def on_globe(
    run: FreeRun, latitude: FloatArray, longitude: FloatArray, altitude_km: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return ln rho of the only member and of NRLMSIS 2.1, each (times, altitudes, latitudes, longitudes)."""
    msis, modelled, climatology = Msis(run.drivers), [], []
    for number, one in enumerate(run.snapshots):
        reference = msis.on_grid(one.time, latitude, longitude, altitude_km)
        ratio = reference.unmodelled_mass_ratio
        modelled.append(run.log_density(number, latitude, longitude, altitude_km, ratio)[..., 0])
        climatology.append(np.log(reference.density))
    return np.array(modelled), np.array(climatology)


def global_mean(field: FloatArray, latitude: FloatArray) -> FloatArray:
    """Return the area-weighted mean over the last two axes, latitude and longitude."""
    area = np.cos(np.radians(latitude))
    return np.asarray(np.einsum("...ji,j->...", field, area / area.sum()) / field.shape[-1])


def regional_mean(field: FloatArray, latitude: FloatArray, region: BoolArray) -> FloatArray:
    """Return the area-weighted mean over a region (latitudes, longitudes) of the last two axes."""
    area = np.cos(np.radians(latitude))[:, None] * region
    return np.asarray(np.einsum("...ji,ji->...", field, area / area.sum()))


def crossing_h(hours: FloatArray, values: FloatArray, threshold: float, *, rising: bool) -> float:
    """Return when values first cross a threshold, linear in between; NaN where they never do."""
    beyond = values >= threshold if rising else values <= threshold
    if not beyond.any() or beyond[0]:
        return float("nan")
    k = int(np.argmax(beyond))
    share = (threshold - values[k - 1]) / (values[k] - values[k - 1])
    return float(hours[k - 1] + share * (hours[k] - hours[k - 1]))


def first_effects(
    enhancement: FloatArray, time: TimeArray, latitude: FloatArray, longitude: FloatArray, onset: np.datetime64
) -> tuple[float, float]:
    """Return when high and low latitudes reach 20 % of their peak [h after onset].

    High latitudes are beyond 55 deg of magnetic latitude, low ones within 20 deg of the equator. Enhancement is
    counted from 3 h before the onset, and the peak is that of the 24 h after it.
    """
    magnetic = dipole_axis(onset).coordinates(latitude[:, None], longitude[None, :])[0]
    equatorial = np.broadcast_to(np.abs(latitude)[:, None] < 20.0, magnetic.shape)
    chosen = (time >= onset - 3 * HOUR) & (time <= onset + DAY)
    hours, found = (time[chosen] - onset) / HOUR, []
    for region in (np.abs(magnetic) > 55.0, equatorial):
        series = regional_mean(enhancement[chosen], latitude, region)
        series = series - series[0]
        found.append(crossing_h(hours, series, 0.2 * float(series.max()), rising=True))
    return found[0], found[1]


def orbit_means(density: FloatArray, time: TimeArray, period_s: float) -> tuple[FloatArray, TimeArray]:
    """Return means of consecutive whole revolutions and the times of their middles."""
    number = ((time - time[0]) / np.timedelta64(1, "s") / period_s).astype(np.int64)
    whole = np.arange(int(number[-1]))
    means = np.array([density[number == one].mean() for one in whole])
    middle = time[0] + ((whole + 0.5) * period_s * 1e9).astype("timedelta64[ns]")
    return means, middle


def local_time_anomaly(field: FloatArray, time: TimeArray, quiet: BoolArray) -> FloatArray:
    """Return a field (times, ..., longitudes) less its quiet mean at the same latitude and local time.

    Times must be whole hours and the longitudes a divisor of 15 degrees apart.
    """
    per_hour = field.shape[-1] // 24
    shifts = per_hour * (time.astype("datetime64[h]").astype(np.int64) % 24)
    fixed = np.array([np.roll(one, shift, axis=-1) for one, shift in zip(field, shifts, strict=True)])
    fixed = fixed - fixed[quiet].mean(axis=0)
    return np.array([np.roll(one, -shift, axis=-1) for one, shift in zip(fixed, shifts, strict=True)])


def map_correlation(first: FloatArray, second: FloatArray, latitude: FloatArray, *, centred: bool) -> float:
    """Return the area-weighted correlation of maps (times, latitudes, longitudes), all in one pool.

    The pool's own mean is removed; ``centred`` removes each map's global mean before.
    """
    if centred:
        first = first - global_mean(first, latitude)[:, None, None]
        second = second - global_mean(second, latitude)[:, None, None]
    area = np.broadcast_to(np.cos(np.radians(latitude))[:, None], first.shape)
    x, y = first - np.average(first, weights=area), second - np.average(second, weights=area)
    return float(np.sum(area * x * y) / np.sqrt(np.sum(area * x * x) * np.sum(area * y * y)))


def folding_time_h(hours: FloatArray, enhancement: FloatArray) -> float:
    """Return the time from the peak until a series is down to 1/e of it."""
    peak = int(np.argmax(enhancement))
    return crossing_h(
        hours[peak:] - hours[peak], enhancement[peak:], float(np.exp(-1.0) * enhancement[peak]), rising=False
    )
