"""Files of a run: CF attributes, round trip, readable while written, and the life of the folder."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from da.errors import ThermodaError
from da.model import StateGrid
from da.moments import EnsembleMoments
from da.storage import EnsembleFile, OutputAxes, RunFolder, write_table

GRID = StateGrid(np.array([-1.0, 0.0, 1.0]), np.array([-45.0, 45.0]), np.arange(0.0, 360.0, 90.0))
AXES = OutputAxes(GRID, np.array([200.0, 300.0]), np.array([-40.0, 0.0, 40.0]), np.array([0.0, 180.0]))
TIMES = np.array(["2010-04-05T00:00", "2010-04-05T00:10"], dtype="datetime64[ns]")


def _moments(seed: int) -> dict[str, EnsembleMoments]:
    rng = np.random.default_rng(seed)
    return {
        "density": EnsembleMoments.of(1e-12 * rng.uniform(1.0, 2.0, (*GRID.shape, 5))),
        "height": EnsembleMoments.of(rng.uniform(1e5, 5e5, (*GRID.shape, 5))),
        "data_grid_density": EnsembleMoments.of(1e-11 * rng.uniform(1.0, 2.0, (2, 3, 2, 5))),
    }


def test_that_means_and_spreads_come_back_while_the_file_is_still_being_written(tmp_path: Path) -> None:
    file = EnsembleFile(tmp_path / "a.nc", AXES, ("density", "height", "data_grid_density"), {"title": "test"})
    for number, time in enumerate(TIMES):
        file.append(time, _moments(number))
        with xr.open_dataset(tmp_path / "a.nc") as dataset:
            np.testing.assert_array_equal(dataset.time.values, TIMES[: number + 1])
            for name, moments in _moments(number).items():
                # Rounded to five (spreads: three) significant digits: half a unit of the last is at most 5e-5 (5e-3).
                np.testing.assert_allclose(dataset[name][number], moments.mean, rtol=5e-5)
                if name != "height":
                    np.testing.assert_allclose(dataset[f"{name}_spread"][number], moments.spread, rtol=5e-3)
    file.close()


def test_that_coordinates_carry_what_cf_readers_look_for(tmp_path: Path) -> None:
    file = EnsembleFile(tmp_path / "a.nc", AXES, ("density", "height", "data_grid_density"), {"title": "test"})
    file.append(TIMES[0], _moments(0))
    file.close()
    with xr.open_dataset(tmp_path / "a.nc") as dataset:
        axes = {name: dataset[name].attrs.get("axis") for name in dataset.coords}
        assert axes == {"time": "T", "level": "Z", "lat": "Y", "lon": "X"} | dict.fromkeys(
            ("data_alt", "data_lat", "data_lon")
        )
        for latitude, longitude in (("lat", "lon"), ("data_lat", "data_lon")):
            assert dataset[latitude].attrs["standard_name"] == "latitude"
            assert dataset[latitude].attrs["units"] == "degrees_north"
            assert dataset[longitude].attrs["standard_name"] == "longitude"
            assert dataset[longitude].attrs["units"] == "degrees_east"
        assert dataset.data_alt.attrs["standard_name"] == "height_above_reference_ellipsoid"
        assert dataset.level.attrs["positive"] == dataset.data_alt.attrs["positive"] == "up"
        assert dataset.data_grid_density.attrs["standard_name"] == "air_density"
        # The standard name of a mean must not stand at a spread, which would be read as a second such quantity.
        assert "standard_name" not in dataset.data_grid_density_spread.attrs
        np.testing.assert_array_equal(dataset.lon, GRID.longitude)
        np.testing.assert_array_equal(dataset.data_alt, AXES.altitude_km)


def test_that_a_table_comes_back_exactly_with_its_units(tmp_path: Path) -> None:
    values = np.array([1.23456789012345e-12, 2.0e-12])
    columns = {"time": (TIMES, "", "time"), "density": (values, "kg m-3", "measured")}
    write_table(tmp_path / "track.nc", columns, {"satellite": "champ"})
    with xr.open_dataset(tmp_path / "track.nc") as dataset:
        np.testing.assert_array_equal(dataset.density.values, values)
        np.testing.assert_array_equal(dataset.time.values, TIMES)
        assert dataset.density.attrs["units"] == "kg m-3"
        assert dataset.density.attrs["long_name"] == "measured"
        assert dataset.attrs["satellite"] == "champ"


def test_that_a_run_replaces_an_earlier_one_only_when_it_is_complete(tmp_path: Path) -> None:
    for text in ("first", "second"):
        folder = RunFolder(tmp_path / "run", overwrite=True)
        folder.write_text("experiment.yaml", text)
        if text == "second":
            assert (tmp_path / "run" / "experiment.yaml").read_text(encoding="utf-8") == "first"
        folder.complete({"name": text})
        folder.close()
    assert (tmp_path / "run" / "experiment.yaml").read_text(encoding="utf-8") == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_that_what_was_left_while_a_run_was_replaced_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "run.replaced").mkdir()
    with pytest.raises(ThermodaError, match="run.replaced: was left while a run was replaced"):
        RunFolder(tmp_path / "run", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.replaced"]


def test_that_a_folder_below_a_file_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ThermodaError, match=r"run\.partial: cannot be created \(Not a directory\)"):
        RunFolder(tmp_path / "file" / "run", overwrite=False)


def test_that_a_folder_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run", overwrite=False)
    folder.write_text("experiment.yaml", "a: 1\n")
    assert not (tmp_path / "run").exists()
    folder.complete({"name": "run"})
    folder.close()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"experiment.yaml", "provenance.json"}
    with pytest.raises(ThermodaError, match="--overwrite"):
        RunFolder(tmp_path / "run", overwrite=False)


def test_that_what_an_unfinished_run_left_is_cleared_but_nothing_else(tmp_path: Path) -> None:
    unfinished = tmp_path / "run.partial"
    unfinished.mkdir()
    (unfinished / "experiment.yaml").write_text("a: 1\n", encoding="utf-8")
    RunFolder(tmp_path / "run", overwrite=False).close()
    assert [path.name for path in unfinished.iterdir()] == ["lock"]
    (tmp_path / "other.partial").mkdir()
    with pytest.raises(ThermodaError, match="not an unfinished run"):
        RunFolder(tmp_path / "other", overwrite=False)


def test_that_a_second_run_cannot_take_the_place_of_one_under_way(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run", overwrite=False)
    first.write_text("experiment.yaml", "a: 1\n")
    with pytest.raises(ThermodaError, match="another run is writing there"):
        RunFolder(tmp_path / "run", overwrite=False)
    first.complete({"name": "first"})
    first.close()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"experiment.yaml", "provenance.json"}


def test_that_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", without_locks)
    folder = RunFolder(tmp_path / "run", overwrite=False)
    folder.complete({"name": "run"})
    folder.close()
    assert "cannot be locked" in caplog.text
    assert (tmp_path / "run" / "provenance.json").is_file()
