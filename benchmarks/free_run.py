"""What the column model does when it runs free: quiet days, storms, responses, vertical modes, real satellites.

    python benchmarks/free_run.py > benchmarks/free_run.txt
    python benchmarks/free_run.py --sections free modes --resolution 5

Every figure that has a requirement is printed with it. rho is total mass density; "enhancement" is a ratio of
densities less one, and an enhancement of a global mean is that of the geometric mean of rho over the globe.
Sections:

free      27 March to 10 April 2010 with real indices, against NRLMSIS 2.1, and the storm of 5 April along two orbits
tiegcm    the storm of 17 March 2013 against a run of TIE-GCM 2.0 (found through THERMODA_DATA or ../shared)
response  change of ln rho by one standard deviation of each input
modes     eigenvalues of the covariance of ln rho profiles in an ensemble
tracks    21 to 30 November 2002 along CHAMP and GRACE-A (found as above)
"""

from __future__ import annotations

import argparse
import os
import time as clock
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from circumstances import circumstances
from free_run_statistics import (
    DAY,
    HOUR,
    BoolArray,
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
    orbit_means,
    quiet_companion,
    run_free,
)

from da.config import read_experiment
from da.drivers import Drivers, OutsideSolarWind, load_drivers
from da.execution import perturbation_model
from da.msis import Msis
from da.parallel import limit_blas_threads
from da.tracks import read_tracks
from da.twin.orbit import AnalyticOrbit
from model_adapters.column_physics import fitted
from model_adapters.column_physics.adapter import ColumnPhysics

REPOSITORY = Path(__file__).resolve().parents[1]
STORM_KP, AFTER_STORM = 5.0, 36 * HOUR
ORBITS = {"CHAMP-like": (302.0, 87.3, 40.0), "GRACE-like": (474.0, 89.0, 130.0)}
"""Altitude [km], inclination and right ascension [deg]."""

STANDARD_DEVIATION = {
    "f107_sfu": (1.0, "Table 1"),
    "hemispheric_power_gw": (5.0, "Table 1"),
    "cross_tail_potential_kv": (8.0, "Table 1"),
    "joule_ln_factor": (0.15, "Table 1"),
    "lower_boundary_temperature_k": (3.0, "Table 1"),
    "lower_boundary_height_m": (70.0, "Table 1"),
    "lower_boundary_zonal_wind_m_s": (5.0, "Table 1"),
    "lower_boundary_meridional_wind_m_s": (6.5, "Table 1"),
    "auroral_energy_kev": (0.2, "10 %"),
    "nitric_oxide_ln_factor": (0.3, "own choice"),
    "eddy_ln_factor": (0.3, "own choice"),
    "atomic_oxygen_ln_ratio": (0.2, "quickstart"),
    "helium_ln_ratio": (0.3, "quickstart"),
}
"""Of the perturbable inputs: Corbin & Kusche (2022), Table 1, where it has them; of the energy of auroral electrons a
tenth, as the table takes of other constants of the model."""

WIND_DEVIATION = {"solar_wind_velocity_km_s": (45.0, "Table 1"), "solar_wind_density_cm3": (0.1, "Table 1")}
"""The table prints km/h for the velocity; read as km/s. These act where drivers follow the solar wind."""

OMNI = "omni_imf_20100401_20100430.dat"
REACHED_PERCENT = 1.0
"""Of density: a mode that moves it less is below what accelerometers resolve, 1 to 2 %."""


def verdict(value: float, low: float, high: float) -> str:
    """Return a requirement and whether a value lies within it."""
    one_sided = f"<= {high:g}" if low == -np.inf else f">= {low:g}"
    bounds = f"{low:g} .. {high:g}" if np.isfinite([low, high]).all() else one_sided
    return f"[{bounds}: {'met' if low <= value <= high else 'NOT MET'}]"


def storm_intervals(drivers: Drivers, start: np.datetime64, stop: np.datetime64) -> TimeArray:
    """Return the starts of the 3-hour intervals of a period with Kp of 5 and more."""
    times = np.arange(start, stop, 3 * HOUR)
    return times[drivers.kp(times) >= STORM_KP - 1e-6]


def print_quiet_days(run: FreeRun, difference: FloatArray, altitude_km: FloatArray, calm: BoolArray) -> None:
    """Print global-mean ln(model/MSIS), (times, altitudes), outside storms and by day."""
    print("global-mean ln(model / NRLMSIS 2.1), hourly; outside storms:")
    for k, altitude in enumerate(altitude_km):
        values = difference[calm, k]
        rms = float(np.sqrt(np.mean(values**2)))
        print(f"  {altitude:4.0f} km   mean {values.mean():+.3f}   rms {rms:.3f} {verdict(rms, -np.inf, 0.10)}")
    print("by day: mean and rms; * has hours of the storm or of the 36 h after it")
    print("  day            Kp  " + "".join(f"{altitude:>15.0f} km" for altitude in altitude_km))
    time, days = run.time, run.time.astype("datetime64[D]")
    for day in np.unique(days)[:-1]:
        here = days == day
        cells = "".join(f"   {v.mean():+7.3f} {np.sqrt(np.mean(v**2)):6.3f}" for v in difference[here].T)
        mark = " " if calm[here].all() else "*"
        print(f"  {day} {mark} {run.drivers.kp(time[here]).mean():4.1f}   {cells}")


def print_orbits(run: FreeRun, quiet: FreeRun, onset: np.datetime64, end: np.datetime64) -> None:
    """Print enhancement and recovery of orbit means of the model and of NRLMSIS 2.1."""
    print("orbit-mean enhancement, (a) against the same run with Kp of 2 at most, (b) against orbit means of the 48 h")
    print("before the day of the storm (the local time drifts by 0.2 h a day at most);")
    print("'left' is the share of the peak 36 h after the end of Kp >= 5, a mean over 3 h")
    limits = {"CHAMP-like": (40.0, 110.0), "GRACE-like": (70.0, 200.0)}
    time = np.arange(run.time[0], run.time[-1], np.timedelta64(60, "s"))
    midnight = onset.astype("datetime64[D]").astype("datetime64[ns]")
    for name, (altitude, inclination, ascension) in ORBITS.items():
        orbit = AnalyticOrbit(altitude, inclination, ascension, 0.0, midnight)
        position = orbit.positions(time)
        density = {}
        for kind, one in (("storm", run), ("quiet", quiet)):
            reference = Msis(one.drivers).along_track(time, *position)
            modelled = one.along(time, *position, reference.unmodelled_mass_ratio)
            density["model", kind] = np.exp(modelled)
            density["MSIS", kind] = reference.density
        for source in ("model", "MSIS"):
            stormy, middle = orbit_means(density[source, "storm"], time, orbit.nodal_period_s)
            calm, _ = orbit_means(density[source, "quiet"], time, orbit.nodal_period_s)
            before = (middle >= midnight - 2 * DAY) & (middle < midnight)
            in_storm = (middle >= onset) & (middle < end + 12 * HOUR)
            later = np.abs(middle - (end + AFTER_STORM)) <= 1.5 * HOUR
            for label, base in (("a", calm), ("b", np.full_like(stormy, stormy[before].mean()))):
                enhancement = 100.0 * (stormy / base - 1.0)
                peak = float(enhancement[in_storm].max())
                when = middle[in_storm][int(np.argmax(enhancement[in_storm]))].astype("datetime64[m]")
                left = float(enhancement[later].mean()) / peak
                checks = ("", "") if source == "MSIS" else (verdict(peak, *limits[name]), verdict(left, -np.inf, 0.25))
                print(
                    f"  {name} {altitude:.0f} km ({label}) {source:5s}  peak {peak:+6.1f} % {checks[0]} at {when}"
                    f"   left {left:+.2f} {checks[1]}"
                )


def section_free(resolution_deg: float) -> None:
    """Print the free run of 2010."""
    start, stop = moment("2010-03-27"), moment("2010-04-10")
    drivers = drivers_for(start, stop)
    run = run_free(resolution_deg, drivers, start, stop, {}, spin_up_days=3)
    quiet = run_free(resolution_deg, quiet_companion(drivers), start, stop, {}, spin_up_days=3)
    grid, altitude = run.model.layout.grid, np.array([150.0, 302.0, 474.0])
    modelled, climatology = on_globe(run, grid.latitude, grid.longitude, altitude)
    intervals = storm_intervals(drivers, start, stop)
    onset, end = intervals[0], intervals[-1] + 3 * HOUR
    ages = run.time[:, None] - intervals[None, :]
    calm = ~np.any((ages >= 0 * HOUR) & (ages < 3 * HOUR + AFTER_STORM), axis=1)
    print(f"Kp >= 5 from {onset.astype('datetime64[h]')} to {end.astype('datetime64[h]')}; 3 days of spin-up")
    print_quiet_days(run, global_mean(modelled - climatology, grid.latitude), altitude, calm)
    print_orbits(run, quiet, onset, end)
    modelled_quiet, climatology_quiet = on_globe(quiet, grid.latitude, grid.longitude, altitude)
    print("20 % of the peak of the first 24 h of Kp >= 5, hours after its begin; against the run with Kp of 2 at most")
    for k, level in enumerate(altitude):
        for source, field in (("model", modelled - modelled_quiet), ("MSIS", climatology - climatology_quiet)):
            high, low = first_effects(field[:, k], run.time, grid.latitude, grid.longitude, onset)
            check = verdict(low - high, 2.0, 6.0) if source == "model" else ""
            times = f"high latitudes {high:5.1f}   low {low:5.1f}   lag {low - high:5.1f}"
            print(f"  {level:4.0f} km {source:5s}  {times} {check}")


def shared_folder(name: str) -> Path | None:
    """Return the folder ``name`` of real data, or None, which is said loudly."""
    root = os.environ.get("THERMODA_DATA")
    candidates = [Path(root) if name == "data" else Path(root).parent / name] if root else []
    candidates.append(REPOSITORY.parent / "shared" / name)
    found = next((folder for folder in candidates if folder.is_dir()), None)
    if found is None:
        print(f"SKIPPED: no folder '{name}' of real data; set THERMODA_DATA to the folder 'data' beside it")
    return found


def section_tiegcm(resolution_deg: float) -> None:
    """Print the storm of March 2013 beside TIE-GCM's."""
    folder = shared_folder("tiegcm")
    if folder is None:
        return
    with np.load(folder / "lnrho_tiegcm20_201303.npz") as data:
        latitude, longitude = data["lat"].astype(np.float64), data["lon"].astype(np.float64)
        time = data["time_unix_s"].astype("datetime64[s]").astype("datetime64[ns]")
        altitude = np.array([150.0, 200.0, 302.0, 400.0, 474.0])
        where = [int(np.flatnonzero(data["altitude_km"] == one)[0]) for one in altitude]
        truth = data["ln_density"][:, where].astype(np.float64)
    start, stop, onset = time[0], time[-1], moment("2013-03-17T06")
    run = run_free(resolution_deg, drivers_for(start, stop), start, stop, {}, spin_up_days=2)
    modelled, climatology = on_globe(run, latitude, longitude, altitude)
    used = time >= moment("2013-03-16T12")
    quiet = (time >= moment("2013-03-16T12")) & (time < onset)
    hours = (time - onset) / HOUR
    fields = {"TIE-GCM": truth, "model": modelled, "MSIS": climatology}
    anomaly = {name: local_time_anomaly(field, time, quiet) for name, field in fields.items()}
    mean = {name: global_mean(field, latitude)[used] for name, field in anomaly.items()}
    print(
        "enhancement of ln rho: less its mean at the same latitude and local time from 16 March 12 UT to 17 March 06 UT"
    )
    print("peak of the global mean [%] and time from it to 1/e of its logarithm [h]; in brackets ratios to TIE-GCM's")
    for k, level in enumerate(altitude):
        peaks = {name: 100.0 * float(np.expm1(series[:, k].max())) for name, series in mean.items()}
        times = {name: folding_time_h(hours[used], series[:, k]) for name, series in mean.items()}
        for name in fields:
            amplitude, decay = peaks[name] / peaks["TIE-GCM"], times[name] / times["TIE-GCM"]
            asked = name == "model" and level in (200.0, 302.0, 474.0)
            first, second = (verdict(amplitude, 0.75, 1.25), verdict(decay, 0.7, 1.3)) if asked else ("", "")
            at = time[used][int(np.argmax(mean[name][:, k]))].astype("datetime64[h]")
            print(
                f"  {level:4.0f} km {name:8s} peak {peaks[name]:6.1f} ({amplitude:.2f}) {first} at {at}"
                f"   1/e {times[name]:5.1f} ({decay:.2f}) {second}"
            )
    print_maps({name: field[:, 2] for name, field in anomaly.items()}, time, latitude, onset)
    print("20 % of the peak of the first 24 h, hours after 17 March 06 UT")
    for k, level in enumerate(altitude):
        for name, field in anomaly.items():
            high, low = first_effects(field[:, k], time, latitude, longitude, onset)
            print(f"  {level:4.0f} km {name:8s} high latitudes {high:5.1f}   low {low:5.1f}   lag {low - high:5.1f}")


def print_maps(maps: Mapping[str, FloatArray], time: TimeArray, latitude: FloatArray, onset: np.datetime64) -> None:
    """Print correlations of enhancement maps with TIE-GCM's while that is above a quarter of its peak."""
    truth = maps["TIE-GCM"]
    level = global_mean(truth, latitude)
    six_hourly = time.astype("datetime64[h]").astype(np.int64) % 6 == 0
    chosen = six_hourly & (time >= onset) & (level >= 0.25 * level[time >= onset].max())
    print("enhancement maps at 302 km, 6-hourly while TIE-GCM's global mean is above a quarter of its peak")
    print("  time            centred correlation: model    MSIS      global mean of ln: TIE-GCM   model    MSIS")
    for number in np.flatnonzero(chosen):
        one = slice(number, number + 1)
        single = [map_correlation(maps[name][one], truth[one], latitude, centred=True) for name in ("model", "MSIS")]
        size = [float(global_mean(field[number], latitude)) for field in maps.values()]
        print(
            f"  {time[number].astype('datetime64[h]')}  {single[0]:29.2f} {single[1]:7.2f}"
            f"  {size[0]:27.3f} {size[1]:7.3f} {size[2]:7.3f}"
        )
    for name in ("model", "MSIS"):
        for centred in (False, True):
            match = map_correlation(maps[name][chosen], truth[chosen], latitude, centred=centred)
            kind = "pooled, each map centred" if centred else "pooled"
            check = verdict(match, 0.6, np.inf) if name == "model" else ""
            print(f"  {name:5s} {kind:24s} {match:.3f} {check}")


def global_response(
    resolution_deg: float,
    drivers: Drivers,
    start: np.datetime64,
    offsets: Mapping[str, FloatArray],
    altitude_km: FloatArray,
) -> list[tuple[FloatArray, FloatArray]]:
    """Return d ln rho against member 0: after 1 day, after 3 days, long since in balance.

    For the first two the inputs change at ``start``; for the last they were changed from the initial state, which is
    in balance with its lower boundary, and 5 days of the run. Each is a global mean and the root of the global mean
    square, (members - 1, altitudes).
    """
    responses = []
    for begin, perturbed, numbers in ((start, False, (1, 3)), (start + 3 * DAY, True, (0,))):
        spin_up = 5 if perturbed else 2
        run = run_free(
            resolution_deg,
            drivers,
            begin,
            start + 3 * DAY,
            offsets,
            spin_up_days=spin_up,
            step=DAY,
            perturbed_spin_up=perturbed,
        )
        grid = run.model.layout.grid
        ones = np.ones((altitude_km.size, grid.latitude.size, grid.longitude.size))
        for number in numbers:
            field = run.log_density(number, grid.latitude, grid.longitude, altitude_km, ones)
            change = np.moveaxis(field[..., 1:] - field[..., :1], -1, 0)
            means = global_mean(change, grid.latitude), np.sqrt(global_mean(change**2, grid.latitude))
            responses.append(means)
    return responses


def print_responses(
    resolution_deg: float, drivers: Drivers, start: np.datetime64, deviations: Mapping[str, tuple[float, str]]
) -> None:
    """Print a row of the response table for each input."""
    altitude = np.array([150.0, 300.0, 475.0])
    offsets = {name: np.zeros(len(deviations) + 1) for name in deviations}
    for number, (name, (size, _)) in enumerate(deviations.items()):
        offsets[name][number + 1] = size
    responses = global_response(resolution_deg, drivers, start, offsets, altitude)
    for number, (name, (size, source)) in enumerate(deviations.items()):
        kinds = (
            [(0, source), (1, "rms")] if name.startswith("lower_boundary") and name.endswith("m_s") else [(0, source)]
        )
        for kind, remark in kinds:
            cells = "   ".join("".join(f"{100.0 * value:8.3f}" for value in one[kind][number]) for one in responses)
            print(f"  {name:34s} {size:6g} {remark:10s}   {cells}")


def windy_drivers(start: np.datetime64, stop: np.datetime64) -> Drivers | None:
    """Return drivers that follow measured solar wind where there is some, or None without the file."""
    folder = shared_folder("data")
    if folder is None or not (folder / "drivers" / OMNI).is_file():
        return None
    files = [folder / "drivers" / OMNI]
    return load_drivers(
        start - 10 * DAY, stop, solar_wind_files=files, max_gap_min=180.0, outside_solar_wind=OutsideSolarWind.KP
    )


def section_response(resolution_deg: float) -> None:
    """Print the response table."""
    print("global-mean d ln rho [%] at 150, 300 and 475 km by one standard deviation: 1 and 3 days after it begins to")
    print("act on an unperturbed state, and where it acted from the initial state, in balance with it, 5 days before;")
    print("winds move density and make none: the second row is the root of the mean square over the globe")
    for label, begin in (("quiet, from 2010-03-29", "2010-03-29"), ("storm, from 2010-04-05", "2010-04-05")):
        start = moment(begin)
        heads = "".join(f"{head:>27s}" for head in ("1 day", "3 days", "in balance"))
        print(f"  {label:34s} deviation         {heads}")
        print_responses(resolution_deg, drivers_for(start - 2 * DAY, start + 3 * DAY), start, STANDARD_DEVIATION)
    windy = windy_drivers(start - 2 * DAY, start + 3 * DAY)
    if windy is None:
        print(f"  SKIPPED: {', '.join(WIND_DEVIATION)} need measured solar wind, {OMNI}")
    else:
        print("  the same storm by measured solar wind; without it the next inputs are refused")
        print_responses(resolution_deg, windy, start, WIND_DEVIATION)
    for name in ColumnPhysics.perturbable_inputs:
        if name not in STANDARD_DEVIATION | WIND_DEVIATION:
            print(f"  NOT IN THE TABLE: {name} has no standard deviation in this script")


def vertical_modes(profiles: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return eigenvalues of the covariance of rows, descending, and the largest deviation that each mode gives [%].

    Parameters
    ----------
    profiles : array (samples, altitudes)
        Anomalies of ln rho over ``scale``, and over the root of the number of samples less one.
    scale : array (altitudes,)
    """
    _, singular, patterns = np.linalg.svd(profiles, full_matrices=False)
    largest = 100.0 * np.abs(singular[:, None] * patterns * scale).max(axis=1)
    return np.asarray(singular**2, dtype=np.float64), largest


def section_modes(resolution_deg: float, members: int = 40) -> None:
    """Print the vertical modes of an ensemble."""
    inputs = perturbation_model(read_experiment(REPOSITORY / "experiments" / "quickstart.yaml")[0])
    offsets = inputs.draw([np.random.default_rng([2010, member]) for member in range(members)])
    altitude = np.arange(100.0, 551.0, 25.0)
    print(f"{members} members with the perturbations of the quickstart: {', '.join(inputs.names)}")
    print("ln rho at 100 to 550 km every 25 km; the last columns are scaled to unit variance at every height;")
    print(
        "largest: standard deviation of ln rho by a mode at the height where it is largest. Judged are modes that move"
    )
    print(f"density by {REACHED_PERCENT:g} % at some height: accelerometers resolve 1 to 2 %")
    for label, at in (("quiet, 2010-03-30T12", "2010-03-30T12"), ("storm, 2010-04-05T18", "2010-04-05T18")):
        time = moment(at)
        run = run_free(resolution_deg, drivers_for(time, time), time, time, offsets, spin_up_days=3)
        grid = run.model.layout.grid
        ones = np.ones((altitude.size, grid.latitude.size, grid.longitude.size))
        field = run.log_density(0, grid.latitude, grid.longitude, altitude, ones)
        field = field - field.mean(axis=-1, keepdims=True)
        area = np.cos(np.radians(grid.latitude))
        columns = (field * np.sqrt(area / area.mean())[:, None, None]).reshape(altitude.size, -1).T
        columns /= np.sqrt(columns.shape[0] / members)
        means = global_mean(np.moveaxis(field, -1, 0), grid.latitude)
        spread = np.sqrt(np.mean(means**2, axis=0))
        print(
            f"{label}: spread of the global mean of ln rho at "
            + ", ".join(f"{altitude[k]:.0f} km {spread[k]:.3f}" for k in range(0, altitude.size, 4))
        )
        same, variance = np.ones(altitude.size), np.sqrt(np.sum(columns**2, axis=0) / (members - 1))
        for kind, profiles, scale in (
            ("global means", means, same),
            ("all columns", columns, same),
            ("all columns, unit variance", columns / variance, variance),
        ):
            values, largest = vertical_modes(profiles / np.sqrt(members - 1), scale)
            count = int(np.sum(largest >= REACHED_PERCENT))
            print(f"  {kind:27s} modes that reach {REACHED_PERCENT:g} %: {count} {verdict(count, 4, np.inf)}")
            print("    eigenvalues  " + " ".join(f"{value:9.2e}" for value in values[:7]))
            print("    shares [%]   " + " ".join(f"{100.0 * value:9.3f}" for value in values[:7] / values.sum()))
            print("    largest [%]  " + " ".join(f"{value:9.2f}" for value in largest[:7]))


def section_tracks(resolution_deg: float) -> None:
    """Print statistics along CHAMP and GRACE-A in November 2002."""
    folder = shared_folder("data")
    if folder is None:
        return
    start, stop = moment("2002-11-21"), moment("2002-12-01")
    run = run_free(resolution_deg, drivers_for(start, stop), start, stop, {}, spin_up_days=3)
    print("ln(observation / model), unperturbed run after 3 days of spin-up; required: std at most 1.2 times MSIS's")
    for name in ("champ", "grace"):
        path = folder / "density" / f"{name}_sutton_20021121_20021130.txt"
        if not path.is_file():
            print(f"SKIPPED: there is no {path.name}")
            continue
        track = read_tracks([path], name)
        here = (track.time >= start) & (track.time < stop)
        place = (track.time[here], track.latitude[here], track.longitude[here], track.altitude_km[here])
        reference = Msis(run.drivers).along_track(*place)
        observed = np.log(track.density[here])
        ours = observed - run.along(*place, reference.unmodelled_mass_ratio)
        theirs = observed - np.log(reference.density)
        ratio = float(ours.std() / theirs.std())
        print(
            f"  {name:6s} n {ours.size}   model mean {ours.mean():+.3f} std {ours.std():.3f}   MSIS mean"
            f" {theirs.mean():+.3f} std {theirs.std():.3f}   ratio of std {ratio:.2f} {verdict(ratio, -np.inf, 1.2)}"
        )
        days = place[0].astype("datetime64[D]")
        for day in np.unique(days):
            one = days == day
            print(
                f"    {day}  Kp {run.drivers.kp(place[0][one]).mean():3.1f}   model mean {ours[one].mean():+.3f} std"
                f" {ours[one].std():.3f}   MSIS mean {theirs[one].mean():+.3f} std {theirs[one].std():.3f}"
            )


SECTIONS: dict[str, Callable[[float], None]] = {
    "free": section_free,
    "tiegcm": section_tiegcm,
    "response": section_response,
    "modes": section_modes,
    "tracks": section_tracks,
}


def main() -> None:
    """Print the chosen sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--resolution", type=float, default=10.0, help="of the state grid [deg]")
    arguments = parser.parse_args()
    limit_blas_threads()
    print(circumstances())
    print("fitted: " + ", ".join(f"{name} {value:.4g}" for name, value in vars(fitted).items() if name.isupper()))
    for name in arguments.sections:
        print(f"\n== {name} ({arguments.resolution:g} deg)")
        began = clock.process_time()
        SECTIONS[name](arguments.resolution)
        print(f"({clock.process_time() - began:.0f} s of CPU)")


if __name__ == "__main__":
    main()
