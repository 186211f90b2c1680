"""A small run in whose files every number is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

START = np.datetime64("2010-04-05T00:00:00", "ns")
MINUTE = np.timedelta64(60, "s").astype("m8[ns]")
ALTITUDE = np.arange(100.0, 551.0, 75.0)
LATITUDE, LONGITUDE = np.arange(-80.0, 81.0, 20.0), np.arange(18) * 20.0
HOURS = 12
MASS_RATIO = 1.02


def profile(altitude_km: FloatArray | float) -> FloatArray:
    return np.asarray(3.0e-12 * np.exp(-(np.asarray(altitude_km) - 400.0) / 50.0))


@dataclass(frozen=True)
class SmallRun:
    """Density = factor x profile(altitude): open loop 1.5, forecasts 1.2, analyses 1.1, calibrated MSIS 1, MSIS 1.25.

    Records every 30 minutes, analyses every hour from hour 0; relative spreads 0.2, 0.1 and 0.04, at the first analysis
    0.02. Of CHAMP (300 km), which calibrates, and GRACE (480 km), the observed densities are 1.05 of the profile;
    their tracks lack hour 3, and Kp is 6 in hour 6, else 2.
    """

    path: Path

    def write(self) -> Path:
        self.path.mkdir()
        half_hours, hours = np.arange(2 * HOURS + 1) * 30, np.arange(HOURS + 1) * 60
        self.fields("open_loop.nc", half_hours, 1.5, np.full(half_hours.size, 0.2))
        self.fields("forecast.nc", half_hours, 1.2, np.full(half_hours.size, 0.1))
        spread = np.where(hours == 0, 0.02, 0.04)
        self.fields("analysis.nc", hours, 1.1, spread)
        self.observations(hours, spread)
        self.filter(hours)
        self.tracks()
        provenance = {
            "name": "small",
            "start": "2010-04-05T00:00:00Z",
            "stop": "2010-04-05T12:00:00Z",
            "satellites": ["champ", "grace"],
            "complete": True,
            "configuration": {"experiment": {"name": "small", "seed": 1}, "ensemble": {"members": 4}},
        }
        (self.path / "provenance.json").write_text(json.dumps(provenance))
        return self.path

    def fields(self, name: str, minutes: FloatArray, factor: float, relative_spread: FloatArray) -> None:
        lat, lon, level = np.arange(-75.0, 90.0, 30.0), np.arange(-180.0, 180.0, 60.0), np.arange(20.0)
        height_km = np.broadcast_to((80.0 + 30.0 * level)[:, None, None], (20, lat.size, lon.size))
        shape = (minutes.size, *height_km.shape)
        density = factor * np.broadcast_to(profile(height_km), shape)
        on_grid = (minutes.size, ALTITUDE.size, LATITUDE.size, LONGITUDE.size)
        total = factor * MASS_RATIO * np.broadcast_to(profile(ALTITUDE)[:, None, None], on_grid)
        state, grid = ("time", "level", "lat", "lon"), ("time", "data_alt", "data_lat", "data_lon")
        variables = {
            "density": (state, density),
            "height": (state, 1e3 * np.broadcast_to(height_km, shape)),
            "data_grid_density": (grid, total),
            "data_grid_density_spread": (grid, relative_spread[:, None, None, None] * total),
        }
        coordinates = {
            "time": START + minutes * MINUTE,
            "level": level,
            "lat": lat,
            "lon": lon,
            "data_alt": ALTITUDE,
            "data_lat": LATITUDE,
            "data_lon": LONGITUDE,
        }
        xr.Dataset(variables, coords=coordinates).to_netcdf(self.path / name)

    def observations(self, minutes: FloatArray, relative_spread: FloatArray) -> None:
        altitude, latitude, longitude = (
            values.ravel() for values in np.meshgrid(ALTITUDE, LATITUDE, LONGITUDE, indexing="ij")
        )
        truth = np.tile(MASS_RATIO * profile(altitude), (minutes.size, 1))
        columns = {
            "density": truth,
            "error_standard_deviation": 0.3 * truth,
            "forecast_mean": 1.2 * truth,
            "forecast_spread": 0.1 * truth,
            # Above 350 km the first analysis goes beyond the observations, the later ones away from them.
            "analysis_mean": truth * np.where(altitude < 350.0, 1.1, np.where(minutes[:, None] == 0, 0.9, 1.3)),
            "analysis_spread": relative_spread[:, None] * truth,
            "latitude": np.tile(latitude, (minutes.size, 1)),
            "longitude": np.tile(longitude, (minutes.size, 1)),
            "altitude": np.tile(altitude, (minutes.size, 1)),
            "used": np.ones(truth.shape, dtype=np.int8),
        }
        dataset = xr.Dataset(
            {name: (("time", "observation"), values) for name, values in columns.items()},
            coords={"time": START + minutes * MINUTE},
        )
        dataset.to_netcdf(self.path / "observations.nc")

    def filter(self, minutes: FloatArray) -> None:
        level, row, column = (
            values.ravel() for values in np.meshgrid([1.0, 10.0], [1.0, 4.0], [1.0, 4.0], indexing="ij")
        )
        numbers = np.tile(10 * np.arange(level.size), (minutes.size, 1))
        dataset = xr.Dataset(
            {
                "local_observations": (("time", "sub_domain"), numbers),
                "degrees_of_freedom": (("time", "sub_domain"), 0.01 * numbers),
                "level_index": ("sub_domain", level),
                "latitude_index": ("sub_domain", row),
                "longitude_index": ("sub_domain", column),
                "constraint_hits": (("time", "constraint"), np.tile([2, 0], (minutes.size, 1))),
                "members_replaced": ("time", np.r_[0, 1, np.zeros(minutes.size - 2, dtype=int)]),
                "unobserved_sub_domains": ("time", np.ones(minutes.size, dtype=int)),
            },
            coords={
                "time": START + minutes * MINUTE,
                "constraint": ("constraint", [0, 1], {"flag_meanings": "lowest highest"}),
            },
        )
        dataset.to_netcdf(self.path / "filter.nc")

    def tracks(self) -> None:
        second = np.arange(0.0, 3600.0 * HOURS, 60.0)
        second = second[(second < 3.0 * 3600.0) | (second >= 4.0 * 3600.0)]
        phase = 2.0 * np.pi * (second - 10.0) / 5520.0
        time = START + (1e9 * second).astype("m8[ns]")
        for satellite, role, height in (("champ", "assimilated", 300.0), ("grace", "independent", 480.0)):
            density = MASS_RATIO * profile(np.full(second.size, height))
            values = {
                "latitude": np.degrees(np.arcsin(np.sin(np.radians(87.0)) * np.sin(phase))),
                "longitude": np.mod(np.degrees(phase) * 0.05 + 180.0, 360.0) - 180.0,
                "altitude": np.full(second.size, height),
                "density": 1.05 * density,
                "density_msis": 1.25 * density,
                "density_calibrated_msis": density,
                "unmodelled_mass_ratio": np.full(second.size, MASS_RATIO),
                "kp": np.where((second >= 6.0 * 3600.0) & (second < 7.0 * 3600.0), 6.0, 2.0),
            }
            dataset = xr.Dataset({name: ("time", one) for name, one in values.items()}, coords={"time": time})
            dataset.attrs = {"satellite": satellite, "role": role}
            dataset.to_netcdf(self.path / f"track_{satellite}.nc")
        series = START + np.arange(-60, 60 * HOURS + 60) * MINUTE
        factor = np.full(series.size, np.log(1.0 / 1.25))
        calibration = xr.Dataset({"ln_factor_filtered": ("time", factor)}, coords={"time": series})
        calibration.attrs = {"satellite": "champ"}
        calibration.to_netcdf(self.path / "calibration.nc")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small run, for the tests that only read."""
    return SmallRun(tmp_path_factory.mktemp("figures") / "small").write()
