"""CPU time and memory of one cycle of `column_physics` without the analysis, on one core.

    python benchmarks/forecast.py > benchmarks/forecast.txt

State 601,344 (72 x 36 x 29 cells, 8 fields), 100 members with perturbations of every input, one hour into the storm of
17 March 2013; then heights, and densities on the 20 deg x 25 km data grid. Times are the least of three repetitions in
a process that holds its memory already; the first forecast, which makes the operators of its day, is told apart.
Memory is the largest resident size during a stage less that before it, over the size of the ensemble: what a stage
returns is counted.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from da.calibration import DataGrid
from da.drivers import load_drivers
from da.model import MemberInputs
from da.observations import ObservationBatch
from da.observing import observe_density
from da.parallel import limit_blas_threads
from da.provenance import source_commit, versions
from model_adapters.column_physics.adapter import ColumnPhysics, ColumnPhysicsSettings

MEMBERS, REPEAT = 100, 3
START = np.datetime64("2013-03-17T09:00", "ns")
STOP = START + np.timedelta64(1, "h")
STANDARD_DEVIATION = {
    "f107_sfu": 5.0,
    "hemispheric_power_gw": 3.0,
    "cross_tail_potential_kv": 5.0,
    "joule_ln_factor": 0.2,
    "nitric_oxide_ln_factor": 0.2,
    "lower_boundary_temperature_k": 5.0,
    "lower_boundary_height_m": 70.0,
    "atomic_oxygen_ln_ratio": 0.1,
    "helium_ln_ratio": 0.1,
}
GOAL_S, MEMORY_GOAL = 2.0, 2.0


def member_inputs() -> MemberInputs:
    """Return random perturbations of every input, and the drivers of the storm."""
    rng = np.random.default_rng(0)
    perturbations = {name: deviation * rng.standard_normal(MEMBERS) for name, deviation in STANDARD_DEVIATION.items()}
    return MemberInputs(perturbations, load_drivers(START - np.timedelta64(8, "D"), STOP))


def data_grid_batch() -> ObservationBatch:
    """Return an observation at every point of the data grid."""
    altitude_km, latitude, longitude = DataGrid.regular().points()
    ones = np.ones(altitude_km.size)
    return ObservationBatch(1e-12 * ones, 1e-13 * ones, latitude, longitude, altitude_km, STOP, "benchmark", ones)


def resident_mib(peak: bool = False) -> float:
    """Return the resident memory of this process, or its peak since :func:`forget_peak`."""
    key = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(key)) / 1024.0


def forget_peak() -> None:
    """Let the peak of resident memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def measured(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float, float]:
    """Return the result of some calls, their least CPU time [s], and the growth of memory in the first [MiB]."""
    before = resident_mib()
    forget_peak()
    result = work()
    growth, least = resident_mib(peak=True) - before, np.inf
    for _ in range(REPEAT):
        began = time.process_time()
        result = work()
        least = min(least, time.process_time() - began)
    return result, float(least), growth


def main() -> None:
    """Print the table."""
    limit_blas_threads()
    model, inputs, batch = ColumnPhysics(ColumnPhysicsSettings()), member_inputs(), data_grid_batch()
    states = model.initial(START, inputs, [np.random.default_rng(0)] * MEMBERS)
    size = states.nbytes / 2**20
    began = time.process_time()
    model.forecast(states, START, STOP, inputs)
    first = time.process_time() - began
    forecast, forecast_s, forecast_mib = measured(lambda: model.forecast(states, START, STOP, inputs))
    height, height_s, height_mib = measured(lambda: model.height(forecast, STOP, inputs))
    observed, observe_s, observe_mib = measured(lambda: observe_density(model, forecast, height, batch))
    found = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("numpy", "scipy"))
    print(f"commit {source_commit()}, Python {platform.python_version()}, {found}, {platform.machine()}, one core")
    print(f"state {states.shape[0]}, {MEMBERS} members ({size:.0f} MiB), {observed.shape[0]} points of the data grid\n")
    print(f"{'':26}{'CPU s':>8}{'memory':>10}")
    rows = [("forecast of 1 h", forecast_s, forecast_mib), ("heights", height_s, height_mib)]
    rows.append(("H(x) on the data grid", observe_s, observe_mib))
    for name, seconds, growth in rows:
        print(f"{name:26}{seconds:8.2f}{growth / size:9.2f}x")
    print(f"{'together':26}{forecast_s + height_s + observe_s:8.2f}{max(row[2] for row in rows) / size:9.2f}x")
    print(f"{'goal':26}{GOAL_S:8.2f}{MEMORY_GOAL:9.2f}x\n")
    print(f"first forecast of a day, which makes its operators: {first:.2f} CPU s")


if __name__ == "__main__":
    main()
