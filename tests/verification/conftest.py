"""A synthetic run whose fields have a closed form, so that every sampled value is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

START = np.datetime64("2010-04-05T00:00:00", "ns")
HOUR = np.timedelta64(3600, "s").astype("m8[ns]")
MASS_RATIO = 1.02
DENSITY_400_KM = 3.0e-12
SCALE_HEIGHT_KM = 50.0


@dataclass(frozen=True)
class SyntheticRun:
    """Density = (factor of the file) x profile(altitude); every factor is linear in time on each trajectory.

    Analyses at hours 1, 2, ...; trajectory k starts at hour k from the factor 1 + 0.05 k and rises by 0.2 per hour, so
    that each analysis pulls the sawtooth down; before the first analysis the initial trajectory has the factor 1.5.
    """

    path: Path
    hours: float = 24.0
    step_minutes: int = 20
    spread: bool = True
    latitude_slope: float = 0.0
    roles: dict[str, str] = field(default_factory=lambda: {"CHAMP": "assimilated", "GRACE": "independent"})

    @staticmethod
    def profile(altitude_km: FloatArray) -> FloatArray:
        return DENSITY_400_KM * np.exp(-(altitude_km - 400.0) / SCALE_HEIGHT_KM)

    @staticmethod
    def open_loop_factor(hour: FloatArray) -> FloatArray:
        return 1.3 + 0.02 * hour

    @staticmethod
    def analysis_factor(hour: FloatArray) -> FloatArray:
        return 1.0 + 0.05 * hour

    @staticmethod
    def forecast_factor(hour: FloatArray) -> FloatArray:
        start = np.floor(hour)
        return np.where(hour < 1.0, 1.5, 1.0 + 0.05 * start + 0.2 * (hour - start))

    @staticmethod
    def relative_spread(hour: FloatArray, altitude_km: FloatArray) -> FloatArray:
        return 0.1 + 2e-4 * (altitude_km - 300.0) + 1e-3 * hour

    def write(self) -> Path:
        self.path.mkdir()
        steps = int(self.hours * 60) // self.step_minutes
        hour = np.arange(steps + 1) * self.step_minutes / 60.0
        # A record at an analysis time belongs to the trajectory that ends there.
        before = np.where(hour > 0.0, np.ceil(hour) - 1.0, 0.0)
        forecast = np.where(hour <= 1.0, 1.5, 1.0 + 0.05 * before + 0.2 * (hour - before))
        at = np.arange(1.0, np.floor(self.hours) + 1.0)
        self.fields("open_loop.nc", hour, self.open_loop_factor(hour))
        self.fields("forecast.nc", hour, forecast)
        self.fields("analysis.nc", at, self.analysis_factor(at))
        for number, (satellite, role) in enumerate(self.roles.items()):
            self.track(satellite, role, 400.0 + 90.0 * number)
        provenance = {"name": "synthetic", "start": "2010-04-05T00:00", "stop": "2010-04-06T00:00", "complete": True}
        (self.path / "provenance.json").write_text(json.dumps(provenance))
        return self.path

    def fields(self, name: str, hour: FloatArray, factor: FloatArray) -> None:
        lat, lon = np.arange(-85.0, 90.0, 10.0), np.arange(-180.0, 180.0, 10.0)
        level = np.arange(12.0)
        height_km = (250.0 + 30.0 * level)[:, None, None] + 5.0 * (
            np.cos(np.radians(lat))[:, None] * np.cos(np.radians(lon))
        )
        horizontal = (1.0 + self.latitude_slope * lat / 90.0)[:, None]
        density = factor[:, None, None, None] * (self.profile(height_km) * horizontal)
        variables: dict[str, tuple[tuple[str, ...], NDArray[np.float32]]] = {
            "density": (("time", "level", "lat", "lon"), density.astype(np.float32)),
            "height": (
                ("time", "level", "lat", "lon"),
                np.broadcast_to(1e3 * height_km, density.shape).astype(np.float32),
            ),
            "density_spread": (("time", "level", "lat", "lon"), (0.01 * density).astype(np.float32)),
        }
        altitude, data_lat, data_lon = np.arange(100.0, 551.0, 25.0), np.arange(-80.0, 81.0, 20.0), np.arange(18) * 20.0
        if self.spread:
            shape = (hour.size, altitude.size, data_lat.size, data_lon.size)
            mean = np.broadcast_to((factor[:, None] * self.profile(altitude))[..., None, None], shape)
            relative = self.relative_spread(hour[:, None], altitude)[..., None, None]
            dims = ("time", "data_alt", "data_lat", "data_lon")
            variables["data_grid_density"] = (dims, mean.astype(np.float32))
            variables["data_grid_density_spread"] = (dims, (relative * mean).astype(np.float32))
        coordinates = {
            "time": START + (hour * HOUR.astype(np.int64)).astype("m8[ns]"),
            "level": level,
            "lat": lat,
            "lon": lon,
            "data_alt": altitude,
            "data_lat": data_lat,
            "data_lon": data_lon,
        }
        xr.Dataset(variables, coords=coordinates).to_netcdf(self.path / name)

    def track(self, satellite: str, role: str, altitude_km: float) -> None:
        """Write a near-polar orbit of 92 min, sampled every 30 s without its hour 5; the truth has the factor 1.2."""
        second = np.arange(0.0, self.hours * 3600.0, 30.0)
        second = second[(second < 5 * 3600.0) | (second >= 6 * 3600.0)]
        hour, phase = second / 3600.0, 2.0 * np.pi * second / 5520.0
        latitude = np.degrees(np.arcsin(np.sin(np.radians(87.3)) * np.sin(phase)))
        longitude = np.mod(np.degrees(np.arctan2(0.047 * np.sin(phase), np.cos(phase))) - 15.0 * hour + 180, 360) - 180
        altitude = altitude_km + 8.0 * np.sin(2.0 * phase)
        rng = np.random.default_rng(8)
        wave = 1.0 + 0.15 * np.sin(phase) + 0.03 * rng.standard_normal(second.size)
        observed = 1.2 * MASS_RATIO * wave * self.profile(altitude)
        kp = np.select([(hour >= 9) & (hour < 12), (hour >= 12) & (hour < 15)], [7.667, 5.333], 2.0)
        values = {
            "latitude": latitude,
            "longitude": longitude,
            "altitude": altitude,
            "density": observed,
            "density_msis": 0.8 * observed / wave,
            "density_calibrated_msis": 0.97 * observed / wave,
            "unmodelled_mass_ratio": np.full(second.size, MASS_RATIO),
            "kp": kp,
        }
        time = START + (second * 1e9).astype("m8[ns]")
        dataset = xr.Dataset({name: ("time", value) for name, value in values.items()}, coords={"time": time})
        dataset.attrs = {"satellite": satellite, "role": role}
        dataset.to_netcdf(self.path / f"track_{satellite.lower()}.nc")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., SyntheticRun]:
    """Return a maker of synthetic runs; keywords are the fields of :class:`SyntheticRun`."""

    def make(**options: object) -> SyntheticRun:
        run = SyntheticRun(tmp_path / "run", **options)  # type: ignore[arg-type]
        run.write()
        return run

    return make


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    """Return one synthetic run for the tests that only read."""
    run = SyntheticRun(tmp_path_factory.mktemp("verification") / "run")
    run.write()
    return run
