"""Fits the free amplitudes and time constants of the column model, and prints them with what they were fitted to.

    python benchmarks/calibrate.py > benchmarks/calibrate.txt
    python benchmarks/calibrate.py --history my_run.npz --onset 2015-03-17T05 --free JOULE_FACTOR EXPANSION_RATE
    python benchmarks/calibrate.py --sections storm --free --set WAVE_SPEED=600

Nothing is written to ``fitted.py``: its values are changed by hand, with the reason beside them. Sections:

storm    Fits to a storm in another model. This is the run of TIE-GCM 2.0 through the storm of 17 March 2013 (found
         through THERMODA_DATA or ../shared), or any file with the same variables: ``time_unix_s``, ``altitude_km``,
         ``lat``, ``lon``, ``ln_density`` (times, altitudes, latitudes, longitudes), hourly, with a quiet day before
         ``--onset`` and a run that followed the real Kp and F10.7. Compared are, per altitude, the peak of the
         global-mean enhancement and the time in which it falls to 1/e, the lag of low behind high latitudes, and the
         correlation of maps. Each difference is divided by what a difference of no concern is (TOLERANCE), and the sum
         of squares is least. The sections after it are with the numbers at the beginning again.
f107     The response of NRLMSIS 2.1 to 10 sfu at quiet times, solar minimum and maximum, equinox and solstices, which
         EUV_FACTOR is fitted to: the response is proportional to it, so that the factor is a ratio.
storms   Real storms at solar minimum and maximum against NRLMSIS 2.1, whose storms are neither fitted to nor the
         truth: it recovers with ap and its history. Enhancement is against the same run with Kp of 2 at most. After
         strong storms the thermosphere cools within 0.3 to 1 day (Mlynczak et al. 2003, doi:10.1029/2003GL017693).
range    Ratio of day to night, annual range and range of the solar cycle, which the model has from its reference.
"""

from __future__ import annotations

import argparse
import os
import time as clock
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from circumstances import circumstances
from free_run_statistics import (
    DAY,
    HOUR,
    FloatArray,
    FreeRun,
    TimeArray,
    drivers_for,
    first_effects,
    folding_time_h,
    global_mean,
    local_time_anomaly,
    map_correlation,
    moment,
    on_globe,
    quiet_companion,
    run_free,
)
from scipy.optimize import least_squares

from da.drivers import Drivers
from da.msis import Msis
from da.parallel import limit_blas_threads
from model_adapters.column_physics import fitted

REPOSITORY = Path(__file__).resolve().parents[1]
FREE = ("JOULE_FACTOR", "EXPANSION_RATE", "NITRIC_OXIDE_GAIN_PER_GW", "WAVE_SPEED")
LARGEST_CHANGE = 8.0
"""Factor by which a fit may change a number."""
STEP = 0.1
"""Of logarithms, for derivatives."""

TOLERANCE = {"peak": 0.10, "folding": 0.15, "lag_h": 0.5, "pooled": 0.2, "centred": 0.3}
"""Of ln of a ratio of peaks and of times, of hours, and of one less a correlation."""

ALTITUDE_KM = np.array([150.0, 200.0, 302.0, 400.0, 474.0])
MAP_KM = 302.0
"""Of which maps are compared."""

WEIGHT = np.array([0.5, 1.0, 1.0, 1.0, 1.0])
"""The lowest counts half: its drift in the run of TIE-GCM is of the size of a tenth of the peak."""

MSIS_ALTITUDE_KM = np.array([200.0, 302.0, 474.0])

SEASONS = {
    "minimum, March": "2009-03-20",
    "minimum, June": "2009-06-21",
    "minimum, December": "2008-12-21",
    "maximum, March": "2002-03-20",
    "maximum, June": "2001-06-21",
    "maximum, December": "2001-12-21",
}
F107_OFFSET_SFU = 10.0

STORMS = {
    "minimum, 5 April 2010": ("2010-04-05", "2010-04-10"),
    "maximum, 31 March 2001": ("2001-03-31", "2001-04-03"),
    "maximum, 20 November 2003": ("2003-11-20", "2003-11-23"),
}

MONTHS = ("01-15", "04-15", "07-15", "10-15")
YEARS = {"minimum": 2009, "maximum": 2001}


class Storm:
    """A storm in another model, and figures of its global enhancement.

    Parameters
    ----------
    path : Path
    onset : datetime64
    quiet_h : float
        Hours before the onset that are the quiet state.

    Raises
    ------
    SystemExit
        If the file has no such altitude, or nothing before the onset.
    """

    def __init__(self, path: Path, onset: np.datetime64, quiet_h: float) -> None:
        with np.load(path) as data:
            self.latitude, self.longitude = data["lat"].astype(np.float64), data["lon"].astype(np.float64)
            self.time: TimeArray = data["time_unix_s"].astype("datetime64[s]").astype("datetime64[ns]")
            held = data["altitude_km"].astype(np.float64)
            if missing := [f"{one:g}" for one in ALTITUDE_KM if not np.any(held == one)]:
                raise SystemExit(f"{path}: altitude_km lacks {', '.join(missing)}")
            where = [int(np.flatnonzero(held == one)[0]) for one in ALTITUDE_KM]
            truth = data["ln_density"][:, where].astype(np.float64)
        self.onset = onset
        self._quiet = (self.time >= onset - np.timedelta64(round(quiet_h * 3600), "s")) & (self.time < onset)
        if not self._quiet.any() or onset + DAY > self.time[-1]:
            raise SystemExit(
                f"{path}: holds {self.time[0]} to {self.time[-1]}; a day on both sides of {onset} is needed"
            )
        self._used = self.time >= self.time[self._quiet][0]
        self._drivers = drivers_for(self.time[0], self.time[-1])
        self._truth = self._anomaly(truth)
        self.truth = self._figures(self._truth)

    def modelled(self, resolution_deg: float) -> dict[str, FloatArray]:
        """Return the figures of the column model as it is now."""
        run = run_free(resolution_deg, self._drivers, self.time[0], self.time[-1], {}, spin_up_days=2)
        ones = np.ones((ALTITUDE_KM.size, self.latitude.size, self.longitude.size))
        found = [
            run.log_density(number, self.latitude, self.longitude, ALTITUDE_KM, ones)[..., 0]
            for number in range(len(run.snapshots))
        ]
        return self._figures(self._anomaly(np.array(found)))

    def residuals(self, found: Mapping[str, FloatArray]) -> FloatArray:
        """Return differences in units of their tolerance."""
        parts = [
            WEIGHT * np.log(found["peak"] / self.truth["peak"]) / TOLERANCE["peak"],
            WEIGHT * np.log(found["folding"] / self.truth["folding"]) / TOLERANCE["folding"],
            WEIGHT * (found["lag_h"] - self.truth["lag_h"]) / TOLERANCE["lag_h"],
            (1.0 - found["pooled"]) / TOLERANCE["pooled"],
            (1.0 - found["centred"]) / TOLERANCE["centred"],
        ]
        return np.concatenate(parts)

    def _anomaly(self, field: FloatArray) -> FloatArray:
        return local_time_anomaly(field, self.time, self._quiet)

    def _figures(self, anomaly: FloatArray) -> dict[str, FloatArray]:
        mean = global_mean(anomaly, self.latitude)[self._used]
        hours = (self.time[self._used] - self.onset) / HOUR
        effects = [
            first_effects(anomaly[:, k], self.time, self.latitude, self.longitude, self.onset)
            for k in range(ALTITUDE_KM.size)
        ]
        middle = int(np.flatnonzero(ALTITUDE_KM == MAP_KM)[0])
        truth = self._truth[:, middle]
        level = global_mean(truth, self.latitude)
        six_hourly = self.time.astype("datetime64[h]").astype(np.int64) % 6 == 0
        chosen = six_hourly & (self.time >= self.onset) & (level >= 0.25 * level[self.time >= self.onset].max())
        maps = anomaly[chosen, middle], truth[chosen]
        return {
            "peak": np.expm1(mean.max(axis=0)),
            "folding": np.array([folding_time_h(hours, mean[:, k]) for k in range(ALTITUDE_KM.size)]),
            "lag_h": np.array([low - high for high, low in effects]),
            "pooled": np.array([map_correlation(*maps, self.latitude, centred=False)]),
            "centred": np.array([map_correlation(*maps, self.latitude, centred=True)]),
        }


def print_figures(storm: Storm, found: Mapping[str, FloatArray]) -> None:
    """Print the figures beside those of the other model."""
    print("   km   peak [%]: other   column   1/e [h]: other   column   lag [h]: other   column")
    for k, level in enumerate(ALTITUDE_KM):
        pairs = [(storm.truth[name][k], found[name][k]) for name in ("peak", "folding", "lag_h")]
        (a, b), (c, d), (e, f) = pairs
        print(f"  {level:4.0f} {100 * a:15.1f} {100 * b:8.1f} {c:16.1f} {d:8.1f} {e:16.1f} {f:8.1f}")
    correlations = f"pooled {found['pooled'][0]:.2f}, each map centred {found['centred'][0]:.2f}"
    print(f"  correlation of six-hourly maps at {MAP_KM:.0f} km: {correlations}")
    print(f"  sum of squares {np.sum(storm.residuals(found) ** 2):.1f}")


def fit_storm(storm: Storm, names: list[str], resolution_deg: float, iterations: int) -> None:
    """Fit some of the numbers in ``fitted`` to a storm, in their logarithms, and leave them so."""
    start = np.array([getattr(fitted, name) for name in names], dtype=np.float64)

    def at(logarithms: FloatArray) -> FloatArray:
        for name, value in zip(names, start * np.exp(logarithms - 1.0), strict=True):
            setattr(fitted, name, float(value))
        found = storm.residuals(storm.modelled(resolution_deg))
        text = "  ".join(f"{name} {getattr(fitted, name):.4g}" for name in names)
        print(f"  {np.sum(found**2):7.2f}  {text}", flush=True)
        return found

    print("sum of squares and numbers of each run; runs that differ in one number only are for derivatives")
    # Logarithms of ratios, plus one: steps of derivatives are relative.
    middle, reach = np.ones(start.size), np.log(LARGEST_CHANGE)
    bounds = middle - reach, middle + reach
    best = least_squares(
        at, middle, bounds=bounds, diff_step=np.full(start.size, STEP), x_scale=0.3, max_nfev=iterations
    )
    jacobian = np.asarray(best.jac, dtype=np.float64)
    # How well the storm tells the numbers apart, differences being of the size of their tolerance.
    doubt = np.sqrt(np.diag(np.linalg.pinv(jacobian.T @ jacobian)))
    for name, before, value, spread in zip(names, start, start * np.exp(best.x - 1.0), doubt, strict=True):
        setattr(fitted, name, float(value))
        print(f"  {name}: {before:.4g} -> {value:.4g}, to within a factor of {np.exp(spread):.2f}")


def section_storm(arguments: argparse.Namespace) -> None:
    """Compare with a storm of another model, after a fit if one is asked for."""
    root = Path(os.environ.get("THERMODA_DATA", REPOSITORY.parent / "shared" / "data"))
    path = arguments.history or root.parent / "tiegcm" / "lnrho_tiegcm20_201303.npz"
    if not path.is_file():
        print(f"SKIPPED: there is no {path}; give --history, or set THERMODA_DATA to the folder of real data")
        return
    storm = Storm(path, moment(arguments.onset), arguments.quiet_h)
    print(f"{path.name}, onset {arguments.onset}; with the numbers at the beginning:")
    print_figures(storm, storm.modelled(arguments.resolution))
    if arguments.free:
        before = numbers()
        fit_storm(storm, arguments.free, arguments.resolution, arguments.iterations)
        print("fitted:")
        print_figures(storm, storm.modelled(arguments.resolution))
        for name, value in before.items():
            setattr(fitted, name, value)


def climatology(drivers: Drivers, time: np.datetime64, run: FreeRun, altitude_km: FloatArray) -> FloatArray:
    """Return ln rho of NRLMSIS 2.1 (altitudes, latitudes, longitudes) on the grid of a run."""
    grid = run.model.layout.grid
    return np.asarray(np.log(Msis(drivers).on_grid(time, grid.latitude, grid.longitude, altitude_km).density))


def modelled(run: FreeRun, number: int, altitude_km: FloatArray) -> FloatArray:
    """Return ln rho (altitudes, latitudes, longitudes, members) of a snapshot on its own grid, total mass."""
    grid, one = run.model.layout.grid, run.snapshots[number]
    ratio = Msis(run.drivers).on_grid(one.time, grid.latitude, grid.longitude, altitude_km).unmodelled_mass_ratio
    return run.log_density(number, grid.latitude, grid.longitude, altitude_km, ratio)


def section_f107(arguments: argparse.Namespace) -> None:
    """Print the response to F10.7 of column model and NRLMSIS 2.1, and the factor that fits."""
    heights = ", ".join(f"{one:.0f}" for one in MSIS_ALTITUDE_KM)
    print(f"change of global-mean ln rho [%] by {F107_OFFSET_SFU:.0f} sfu (day and 81 days) at {heights} km, Kp 1,")
    print("a column of NRLMSIS 2.1 and one of the model after 6 days at each height; ratio NRLMSIS / model")
    ratios = []
    for label, day in SEASONS.items():
        begin = moment(day)
        drivers = drivers_for(begin - 8 * DAY, begin + DAY)
        quiet = replace(drivers, kp_thirds=np.full_like(drivers.kp_thirds, 3))
        observed, mean = quiet.f107_observed_sfu, quiet.f107_81day_sfu
        more = replace(quiet, f107_observed_sfu=observed + F107_OFFSET_SFU, f107_81day_sfu=mean + F107_OFFSET_SFU)
        offsets = {"f107_sfu": np.array([0.0, F107_OFFSET_SFU])}
        run = run_free(arguments.resolution, quiet, begin, begin, offsets, spin_up_days=6)
        latitude = run.model.layout.grid.latitude
        ours = modelled(run, 0, MSIS_ALTITUDE_KM)
        one = global_mean(ours[..., 1] - ours[..., 0], latitude)
        two = [climatology(each, begin, run, MSIS_ALTITUDE_KM) for each in (more, quiet)]
        other = global_mean(two[0] - two[1], latitude)
        ratios.append(other / one)
        cells = "".join(f"{100 * a:9.2f}{100 * b:7.2f}{a / b:6.2f}" for a, b in zip(other, one, strict=True))
        print(f"  {label:18s} F10.7 81 d {quiet.f107_81day(np.array([begin]))[0]:4.0f}   {cells}")
    logarithms = np.log(ratios)
    by_height = " ".join(f"{fitted.EUV_FACTOR * value:.2f}" for value in np.exp(logarithms.mean(axis=0)))
    cycle = [fitted.EUV_FACTOR * np.exp(logarithms[part].mean()) for part in (slice(0, 3), slice(3, None))]
    factor = fitted.EUV_FACTOR * np.exp(logarithms.mean())
    print(
        f"  EUV_FACTOR that fits, in the mean of ln: {factor:.2f}; at minimum {cycle[0]:.2f}, at maximum {cycle[1]:.2f}"
    )
    print(f"  by height: {by_height}; rms of ln about the mean {logarithms.std():.2f}")


def section_storms(arguments: argparse.Namespace) -> None:
    """Print real storms in the model and in NRLMSIS 2.1."""
    altitude = np.array([302.0, 474.0])
    print("global-mean enhancement: peak [%] and time from it to 1/e of its logarithm [h]; a storm of several peaks")
    print("recovers from its largest; in brackets the share of ln that is left 36 h after the peak")
    for label, (first, last) in STORMS.items():
        start, stop = moment(first), moment(last)
        drivers = drivers_for(start, stop)
        run = run_free(arguments.resolution, drivers, start, stop, {}, spin_up_days=2)
        calm = run_free(arguments.resolution, quiet_companion(drivers), start, stop, {}, spin_up_days=2)
        grid, hours = run.model.layout.grid, (run.time - start) / HOUR
        (ours, theirs), (our_calm, their_calm) = (
            on_globe(one, grid.latitude, grid.longitude, altitude) for one in (run, calm)
        )
        f107 = drivers.f107_81day(np.array([start]))[0]
        print(f"  {label}, F10.7 81 d {f107:.0f}, largest Kp {drivers.kp(run.time).max():.1f}")
        for name, storm, base in (("NRLMSIS", theirs, their_calm), ("model", ours, our_calm)):
            mean = global_mean(storm - base, grid.latitude)
            cells = []
            for k, level in enumerate(altitude):
                peak = int(np.argmax(mean[:, k]))
                left = mean[min(peak + 36, hours.size - 1), k] / mean[peak, k]
                folding = folding_time_h(hours, mean[:, k])
                cells.append(f"{level:.0f} km {100 * np.expm1(mean[peak, k]):6.1f} {folding:5.1f} h ({left:.2f})")
            print(f"    {name:8s} " + "   ".join(cells) + f"   largest at {run.time[peak].astype('datetime64[h]')}")


def day_to_night(field: FloatArray, latitude: FloatArray, longitude: FloatArray) -> FloatArray:
    """Return the ratio of the largest to the least zonal variation (altitudes,) of the mean within 30 deg of 0."""
    low = np.abs(latitude) < 30.0
    band = np.average(field[:, low], weights=np.cos(np.radians(latitude[low])), axis=1)
    return np.asarray(np.exp(band.max(axis=-1) - band.min(axis=-1)))


def section_range(arguments: argparse.Namespace) -> None:
    """Print ratios of day to night, annual range and range of the solar cycle."""
    altitude = np.array([302.0, 474.0])
    print(
        "real Kp and F10.7, after 2 days; at 302 and 474 km: NRLMSIS 2.1 and model. After quiet days they agree, as the"
    )
    print("model has all this from its reference, NRLMSIS at Kp of 1; what differs is what the Kp of the 2 days does")
    means: dict[str, FloatArray] = {}
    for label, year in YEARS.items():
        rows = []
        for month in MONTHS:
            begin = moment(f"{year}-{month}T12")
            run = run_free(arguments.resolution, drivers_for(begin, begin), begin, begin, {}, spin_up_days=2)
            grid = run.model.layout.grid
            fields = climatology(run.drivers, begin, run, altitude), modelled(run, 0, altitude)[..., 0]
            rows.append([global_mean(one, grid.latitude) for one in fields])
            ratio = [day_to_night(one, grid.latitude, grid.longitude) for one in fields]
            cells = " ".join(f"{ratio[0][k]:8.2f} {ratio[1][k]:5.2f}" for k in range(altitude.size))
            less = " ".join(f"{value:+.3f}" for value in rows[-1][1] - rows[-1][0])
            kp = run.drivers.kp(np.arange(begin - 2 * DAY, begin, 3 * HOUR)).mean()
            place = f"{begin.astype('datetime64[D]')} Kp {kp:.1f}"
            print(f"  {place} day / night {cells}   global-mean ln(model / NRLMSIS) {less}")
        means[label] = np.array(rows)
        annual = np.exp(np.ptp(means[label], axis=0))
        cells = " ".join(f"{annual[0, k]:8.2f} {annual[1, k]:5.2f}" for k in range(altitude.size))
        print(f"  {year}, largest over least of these           {cells}")
    cycle = np.exp(means["maximum"].mean(axis=0) - means["minimum"].mean(axis=0))
    cells = " ".join(f"{cycle[0, k]:8.2f} {cycle[1, k]:5.2f}" for k in range(altitude.size))
    print(f"  {YEARS['maximum']} over {YEARS['minimum']}                              {cells}")


SECTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "storm": section_storm,
    "f107": section_f107,
    "storms": section_storms,
    "range": section_range,
}


def numbers() -> dict[str, float]:
    """Return the numbers of ``fitted`` by name."""
    return {name: value for name, value in vars(fitted).items() if name.isupper()}


def parsed() -> argparse.Namespace:
    """Return the arguments; names of numbers that do not exist are refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--history", type=Path, help="ln density of another model's storm")
    parser.add_argument("--onset", default="2013-03-17T06", help="of the storm")
    parser.add_argument("--quiet-h", type=float, default=18.0, help="hours before the onset that are its quiet state")
    parser.add_argument("--free", nargs="*", default=list(FREE), help="numbers of fitted.py; none: only print")
    parser.add_argument("--iterations", type=int, default=3, help="steps of the fit at most")
    parser.add_argument("--resolution", type=float, default=15.0, help="of the state grid [deg]")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="begin with these values")
    arguments = parser.parse_args()
    for name in (*arguments.free, *(text.partition("=")[0] for text in arguments.set)):
        if name not in numbers():
            parser.error(f"{name} is none of {', '.join(numbers())}")
    return arguments


def main() -> None:
    """Fit, and print."""
    arguments = parsed()
    limit_blas_threads()
    for text in arguments.set:
        name, _, value = text.partition("=")
        setattr(fitted, name, float(value))
    print(circumstances())
    print("numbers   " + ", ".join(f"{name} {value:.4g}" for name, value in numbers().items()))
    for name in arguments.sections:
        print(f"\n== {name} ({arguments.resolution:g} deg)")
        began = clock.process_time()
        SECTIONS[name](arguments)
        print(f"({clock.process_time() - began:.0f} s of CPU)")


if __name__ == "__main__":
    main()
