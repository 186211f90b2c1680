"""Fits the free amplitudes and time constants of the column model, and prints them with what they were fitted to.

    python benchmarks/calibrate.py > benchmarks/calibrate.txt
    python benchmarks/calibrate.py --history my_run.npz --onset 2015-03-17T05 --free JOULE_FACTOR EXPANSION_RATE

Storms: the run of TIE-GCM 2.0 through the storm of 17 March 2013 (found through THERMODA_DATA or ../shared), or any
file with the same variables: ``time_unix_s``, ``altitude_km``, ``lat``, ``lon``, ``ln_density`` (times, altitudes,
latitudes, longitudes), hourly, with a quiet day before ``--onset``. Compared are, per altitude, the peak of the
global-mean enhancement and the time in which it falls to 1/e, the lag of low behind high latitudes, and the
correlation of maps. Each difference is divided by what a difference of no concern is (TOLERANCE), and the sum of squares
is least.

F10.7: the response of NRLMSIS 2.1 to 10 sfu at quiet times, solar minimum and maximum, equinox and solstices, which is
what EUV_FACTOR is fitted to (a ratio: in closed form).

Nothing is written to ``fitted.py``: its values are changed by hand, with the reason beside them.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from free_run_statistics import (
    DAY,
    HOUR,
    FloatArray,
    TimeArray,
    drivers_for,
    first_effects,
    folding_time_h,
    global_mean,
    local_time_anomaly,
    map_correlation,
    moment,
    on_globe,
    run_free,
)
from scipy.optimize import least_squares

from da.parallel import limit_blas_threads
from model_adapters.column_physics import fitted

REPOSITORY = Path(__file__).resolve().parents[1]
FREE = ("JOULE_FACTOR", "EXPANSION_RATE", "WAVE_SPEED", "WAVE_DRAG_RATE", "HORIZONTAL_DIFFUSIVITY")
TOLERANCE = {"peak": 0.10, "folding": 0.15, "lag_h": 0.5, "pooled": 0.2, "centred": 0.3}
"""Of ln of a ratio of peaks and of times, of hours, and of one less a correlation."""

ALTITUDE_KM = np.array([150.0, 200.0, 302.0, 400.0, 474.0])
"""The lowest counts half: its drift in the run is of the size of a tenth of the peak."""
WEIGHT = np.array([0.5, 1.0, 1.0, 1.0, 1.0])


class Storm:
    """A storm in another model, and figures of its global enhancement.

    Parameters
    ----------
    path : Path
    onset : datetime64
    quiet_h : float
        Hours before the onset that are the quiet state.
    """

    def __init__(self, path: Path, onset: np.datetime64, quiet_h: float = 18.0) -> None:
        with np.load(path) as data:
            self.latitude, self.longitude = data["lat"].astype(np.float64), data["lon"].astype(np.float64)
            self.time: TimeArray = data["time_unix_s"].astype("datetime64[s]").astype("datetime64[ns]")
            where = [int(np.flatnonzero(data["altitude_km"] == one)[0]) for one in ALTITUDE_KM]
            truth = data["ln_density"][:, where].astype(np.float64)
        self.onset = onset
        self._quiet = (self.time >= onset - np.timedelta64(round(quiet_h * 3600), "s")) & (self.time < onset)
        self._used = self.time >= self.time[self._quiet][0]
        self._drivers = drivers_for(self.time[0], self.time[-1])
        self._truth = self._anomaly(truth)
        self.truth = self._figures(self._truth)

    def modelled(self, resolution_deg: float) -> dict[str, FloatArray]:
        """Return the figures of the column model as it is now."""
        run = run_free(resolution_deg, self._drivers, self.time[0], self.time[-1], {}, spin_up_days=2)
        return self._figures(self._anomaly(on_globe(run, self.latitude, self.longitude, ALTITUDE_KM)[0]))

    def residuals(self, found: dict[str, FloatArray]) -> FloatArray:
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
        middle = int(np.flatnonzero(ALTITUDE_KM == 302.0)[0])
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


def print_figures(storm: Storm, found: dict[str, FloatArray]) -> None:
    """Print the figures beside those of the other model."""
    print("   km   peak [%]: other   column   1/e [h]: other   column   lag [h]: other   column")
    for k, level in enumerate(ALTITUDE_KM):
        pairs = [(storm.truth[name][k], found[name][k]) for name in ("peak", "folding", "lag_h")]
        (a, b), (c, d), (e, f) = pairs
        print(f"  {level:4.0f} {100 * a:15.1f} {100 * b:8.1f} {c:16.1f} {d:8.1f} {e:16.1f} {f:8.1f}")
    correlations = f"pooled {found['pooled'][0]:.2f}, each map centred {found['centred'][0]:.2f}"
    print(f"  correlation of six-hourly maps at 302 km: {correlations}")
    print(f"  sum of squares {np.sum(storm.residuals(found) ** 2):.1f}")


def fit_storm(storm: Storm, names: list[str], resolution_deg: float, evaluations: int) -> None:
    """Fit some of the numbers in ``fitted`` to a storm, in their logarithms, and leave them so."""
    start = np.log([getattr(fitted, name) for name in names])

    def at(logarithms: FloatArray) -> FloatArray:
        for name, value in zip(names, np.exp(logarithms), strict=True):
            setattr(fitted, name, float(value))
        found = storm.residuals(storm.modelled(resolution_deg))
        text = "  ".join(f"{name} {getattr(fitted, name):.4g}" for name in names)
        print(f"  {np.sum(found**2):7.2f}  {text}", flush=True)
        return found

    bounds = start - np.log(8.0), start + np.log(8.0)
    best = least_squares(at, start, bounds=bounds, diff_step=0.08, x_scale=0.3, max_nfev=evaluations)
    for name, value in zip(names, np.exp(best.x), strict=True):
        setattr(fitted, name, float(value))


def print_f107_response(resolution_deg: float) -> None:
    """Print the response to 10 sfu of column model and NRLMSIS 2.1, and the factor that fits."""
    altitude, offset = np.array([200.0, 302.0, 474.0]), 10.0
    ratios = []
    print("response of global-mean ln rho to 10 sfu [%] at 200, 302, 474 km: NRLMSIS 2.1 and the column model")
    for label, day in SEASONS.items():
        begin = moment(day)
        quiet = drivers_for(begin - 8 * DAY, begin + DAY)
        quiet = replace(quiet, kp_thirds=np.full_like(quiet.kp_thirds, 3))
        more = replace(
            quiet,
            f107_observed_sfu=quiet.f107_observed_sfu + offset,
            f107_81day_sfu=quiet.f107_81day_sfu + offset,
        )
        inputs = {"f107_sfu": np.array([0.0, offset])}
        run = run_free(resolution_deg, quiet, begin, begin, inputs, spin_up_days=6)
        other = run_free(resolution_deg, more, begin, begin, {}, spin_up_days=1)
        grid = run.model.layout.grid
        ones = np.ones((altitude.size, grid.latitude.size, grid.longitude.size))
        ours = run.log_density(0, grid.latitude, grid.longitude, altitude, ones)
        ours_mean = global_mean(ours[..., 1] - ours[..., 0], grid.latitude)
        theirs = on_globe(other, grid.latitude, grid.longitude, altitude)[1][0]
        base = on_globe(run_free(resolution_deg, quiet, begin, begin, {}, spin_up_days=1), *_places(grid, altitude))[1][
            0
        ]
        theirs_mean = global_mean(theirs - base, grid.latitude)
        ratios.append(theirs_mean / ours_mean)
        cells = "".join(f"{100 * a:9.2f}{100 * b:7.2f}" for a, b in zip(theirs_mean, ours_mean, strict=True))
        print(f"  {label:24s} F10.7 {quiet.f107_81day(np.array([begin]))[0]:4.0f}   {cells}")
    factor = fitted.EUV_FACTOR * float(np.exp(np.mean(np.log(ratios))))
    print(f"  EUV_FACTOR that fits at these heights and seasons, in the mean of ln: {factor:.2f}")


def _places(grid, altitude):
    return grid.latitude, grid.longitude, altitude


SEASONS = {
    "minimum, equinox": "2009-03-20",
    "minimum, June": "2009-06-21",
    "maximum, equinox": "2001-03-12",
    "maximum, December": "2001-12-18",
}


def main() -> None:
    """Fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", type=Path, help="ln density of another model's storm")
    parser.add_argument("--onset", default="2013-03-17T06", help="of the storm")
    parser.add_argument("--free", nargs="*", default=list(FREE), help="numbers of fitted.py; none: only print")
    parser.add_argument("--evaluations", type=int, default=6, help="steps of the fit at most")
    parser.add_argument("--resolution", type=float, default=15.0)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="begin with these values")
    arguments = parser.parse_args()
    limit_blas_threads()
    for text in arguments.set:
        name, value = text.split("=")
        setattr(fitted, name, float(value))
    root = Path(os.environ.get("THERMODA_DATA", REPOSITORY.parent / "shared" / "data"))
    path = arguments.history or root.parent / "tiegcm" / "lnrho_tiegcm20_201303.npz"
    storm = Storm(path, moment(arguments.onset))
    if arguments.free:
        fit_storm(storm, arguments.free, arguments.resolution, arguments.evaluations)
    print({name: getattr(fitted, name) for name in vars(fitted) if name.isupper()})
    print_figures(storm, storm.modelled(arguments.resolution))


if __name__ == "__main__":
    main()
