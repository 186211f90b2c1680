"""The state in and out of histories: in place, both time levels, nothing else touched."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from da import atomic_file
from da.errors import ThermodaError
from da.model import PREVIOUS, THERMOSPHERE_FIELDS, StateLayout
from model_adapters.tiegcm import history_writer
from model_adapters.tiegcm.history import read_header
from model_adapters.tiegcm.judging import finite_and_bounded
from model_adapters.tiegcm.state import VARIABLES, fill_top, layout_of, read_state, write_state

FloatArray = NDArray[np.float64]
VERSIONS = ("2.0", "3.0")
FIRST = np.datetime64("2002-03-22T00:00", "ns")
TIMES = FIRST + np.timedelta64(1, "h") * np.arange(3)
STATE_VARIABLES = set(VARIABLES.values())


def _content(path: Path) -> dict[str, NDArray[Any]]:
    """Return the bytes of all variables, and of the attributes, by name."""
    with Dataset(path) as dataset:
        dataset.set_auto_maskandscale(False)
        found = {name: np.array(variable[...]) for name, variable in dataset.variables.items()}
        found |= {f":{name}": np.array(dataset.getncattr(name)) for name in dataset.ncattrs()}
        for name, variable in dataset.variables.items():
            found |= {f"{name}:{one}": np.array(variable.getncattr(one)) for one in variable.ncattrs()}
    return found


def _opened(path: Path, time: np.datetime64) -> tuple[StateLayout, FloatArray]:
    layout = layout_of(read_header(path))
    return layout, read_state(path, time, layout)


def _slightly_changed(state: FloatArray, seed: int = 0) -> FloatArray:
    return state * (1.0 + 1e-3 * np.random.default_rng(seed).standard_normal(state.size))


@pytest.mark.parametrize("version", VERSIONS)
def test_that_the_layout_is_that_of_the_thermosphere_on_the_grid_of_the_file(
    tmp_path: Path, small_history: Callable[..., Path], version: str
) -> None:
    layout = layout_of(read_header(small_history(tmp_path / "a.nc", version, levels=12, latitudes=6, longitudes=10)))
    assert layout.names == tuple(field.name for field in THERMOSPHERE_FIELDS)
    assert layout.grid.shape == (12, 6, 10)
    assert {field.name for field in layout.fields if field.missing_top_levels == 1} == {
        "temperature",
        "temperature" + PREVIOUS,
    }
    lowest = {field.name: field.lower for field in layout.fields}
    assert lowest["temperature"] == 100.0
    assert lowest["mass_fraction_O2" + PREVIOUS] == {"2.0": 1e-6, "3.0": 1e-9}[version]
    assert lowest["mass_fraction_He"] == 1e-9


@pytest.mark.parametrize("version", VERSIONS)
def test_that_a_state_holds_the_fields_of_its_record_and_an_isothermal_top(
    tmp_path: Path, small_history: Callable[..., Path], version: str
) -> None:
    path = small_history(tmp_path / "a.nc", version, times=TIMES)
    layout, state = _opened(path, TIMES[1])
    content = _content(path)
    for name, values in layout.split(state[:, None]).items():
        expected = content[VARIABLES[name]][1].copy()
        if name.startswith("temperature"):
            expected[-1] = expected[-2]
        assert_array_equal(values[..., 0], expected)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_writing_an_unchanged_state_leaves_the_real_file_identical_byte_for_byte(
    tmp_path: Path, real_history: dict[str, Path], version: str
) -> None:
    path, other = tmp_path / "a.nc", tmp_path / "b.nc"
    shutil.copyfile(real_history[version], path)
    time = read_header(path).times[0]
    layout, state = _opened(path, time)
    written = write_state(path, time, state, layout)
    assert path.read_bytes() == real_history[version].read_bytes()
    write_state(path, time, state, layout, destination=other)
    assert other.read_bytes() == real_history[version].read_bytes()
    assert written.changed == {}
    assert set(written.limited.values()) == {0}
    assert_array_equal(written.state, state)


@pytest.mark.parametrize("version", VERSIONS)
def test_that_a_real_history_takes_an_analysis_and_all_else_stays_bit_for_bit(
    tmp_path: Path, real_history: dict[str, Path], version: str
) -> None:
    path = tmp_path / "a.nc"
    shutil.copyfile(real_history[version], path)
    before, time = _content(path), read_header(path).times[0]
    layout, state = _opened(path, time)
    written = write_state(path, time, _slightly_changed(state), layout)
    after = _content(path)
    assert set(written.changed) == STATE_VARIABLES | {"TE", "TI"}
    for name, values in before.items():
        if name not in written.changed:
            assert after[name].tobytes() == values.tobytes(), name
    for name in ("TN", "TN_NM", "TE", "TI"):
        assert after[name][0, -1].tobytes() == before[name][0, -1].tobytes()
    assert path.stat().st_size == real_history[version].stat().st_size
    assert finite_and_bounded(path, time) == []
    assert_array_equal(read_state(path, time, layout), written.state)
    again = write_state(path, time, written.state, layout)
    assert again.changed == {}


def test_that_a_classic_file_changes_only_in_the_bytes_of_the_written_variables(
    tmp_path: Path, small_history: Callable[..., Path]
) -> None:
    path = small_history(tmp_path / "a.nc", "2.0", times=TIMES)
    before = path.read_bytes()
    layout, state = _opened(path, TIMES[1])
    layout.field(state[:, None], "temperature")[4, 1, 2, 0] += 0.5
    written = write_state(path, TIMES[1], state, layout)
    after = path.read_bytes()
    assert written.changed == {"TN": 1}
    places = [place for place in range(len(before)) if before[place] != after[place]]
    assert len(before) == len(after)
    assert 1 <= len(places) <= 8
    assert places[-1] - places[0] < 8


@pytest.mark.parametrize("file_format", ["NETCDF3_CLASSIC", "NETCDF4"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("record", [0, 1, 2])
def test_that_only_the_record_of_the_time_is_written(
    tmp_path: Path, small_history: Callable[..., Path], version: str, file_format: str, record: int
) -> None:
    path = small_history(tmp_path / "a.nc", version, times=TIMES, file_format=file_format)
    before = _content(path)
    layout, state = _opened(path, TIMES[record])
    write_state(path, TIMES[record], _slightly_changed(state), layout)
    after = _content(path)
    for name in STATE_VARIABLES:
        others = [number for number in range(3) if number != record]
        assert after[name][others].tobytes() == before[name][others].tobytes()
        assert not np.array_equal(after[name][record], before[name][record])


@pytest.mark.parametrize("version", VERSIONS)
def test_that_both_time_levels_are_written_as_analysed(
    tmp_path: Path, small_history: Callable[..., Path], version: str
) -> None:
    path = small_history(tmp_path / "a.nc", version)
    layout, state = _opened(path, FIRST)
    before = _content(path)
    fields = {name: values.copy() for name, values in layout.split(state[:, None]).items()}
    for name in ("temperature", "temperature" + PREVIOUS):
        fields[name] += 20.0
    for name in ("mass_fraction_O", "mass_fraction_O" + PREVIOUS):
        fields[name] *= 1.05
    wanted = layout.join(fields)[:, 0]
    written = write_state(path, FIRST, wanted, layout)
    after = _content(path)
    for name in ("TN", "TN_NM"):
        assert_allclose((after[name] - before[name])[0, :-1], 20.0, rtol=1e-12)
    for name in ("O1", "O1_NM"):
        assert_allclose(after[name] / before[name], 1.05, rtol=1e-12)
    for name in ("O2", "O2_NM"):
        assert_array_equal(after[name][0, 1:], before[name][0, 1:])
        assert_allclose((after[name] - before[name])[0, 0], -0.05 * before["O1" + name[2:]][0, 0], rtol=1e-9)
    assert_array_equal(read_state(path, FIRST, layout), written.state)
    assert_array_equal(fill_top(wanted[:, None], layout)[: layout.grid.cells, 0], written.state[: layout.grid.cells])


def test_that_junk_in_slots_without_data_stays_and_does_not_matter(
    tmp_path: Path, small_history: Callable[..., Path]
) -> None:
    path = small_history(tmp_path / "a.nc", "2.0")
    with Dataset(path, "r+") as dataset:
        dataset.set_auto_maskandscale(False)
        dataset["TN"][0, -1, 0, :3] = [np.nan, np.inf, -5.0]
    before = _content(path)
    layout, state = _opened(path, FIRST)
    assert np.all(np.isfinite(state))
    assert write_state(path, FIRST, state, layout).changed == {}
    write_state(path, FIRST, _slightly_changed(state), layout)
    assert _content(path)["TN"][0, -1].tobytes() == before["TN"][0, -1].tobytes()
    assert finite_and_bounded(path, FIRST) == []


def test_that_increments_to_slots_without_data_are_not_written(
    tmp_path: Path, small_history: Callable[..., Path]
) -> None:
    path = small_history(tmp_path / "a.nc", "3.0")
    before = path.read_bytes()
    layout, state = _opened(path, FIRST)
    layout.field(state[:, None], "temperature")[-1] = 4000.0
    assert write_state(path, FIRST, state, layout).changed == {}
    assert path.read_bytes() == before


def test_that_the_highest_slot_of_the_mass_fractions_is_written(
    tmp_path: Path, small_history: Callable[..., Path]
) -> None:
    path = small_history(tmp_path / "a.nc", "2.0")
    layout, state = _opened(path, FIRST)
    layout.field(state[:, None], "mass_fraction_He")[-1] *= 0.9
    assert write_state(path, FIRST, state, layout).changed == {"HE": 32}
    assert_array_equal(read_state(path, FIRST, layout), state)


def test_that_a_destination_takes_the_change_and_the_source_stays(
    tmp_path: Path, small_history: Callable[..., Path]
) -> None:
    source, target = small_history(tmp_path / "a.nc"), tmp_path / "b.nc"
    source.chmod(0o444)
    before = source.read_bytes()
    layout, state = _opened(source, FIRST)
    written = write_state(source, FIRST, _slightly_changed(state), layout, destination=target)
    assert source.read_bytes() == before
    assert_array_equal(read_state(target, FIRST, layout), written.state)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_that_a_link_to_a_shared_history_is_replaced_by_a_file_of_its_own(
    tmp_path: Path, small_history: Callable[..., Path]
) -> None:
    shared, link = small_history(tmp_path / "shared.nc"), tmp_path / "member.nc"
    link.symlink_to(shared)
    before = shared.read_bytes()
    layout, state = _opened(link, FIRST)
    write_state(link, FIRST, _slightly_changed(state), layout)
    assert shared.read_bytes() == before
    assert not link.is_symlink()


@pytest.mark.parametrize(
    ("module", "stage"),
    [(history_writer, "_overwrite"), (history_writer, "_check"), (atomic_file, "flush_to_disk")],
    ids=["overwriting", "checking", "flushing"],
)
def test_that_a_write_that_fails_leaves_the_file_and_no_other(
    tmp_path: Path, small_history: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, module: ModuleType, stage: str
) -> None:
    path = small_history(tmp_path / "a.nc")
    before = path.read_bytes()
    layout, state = _opened(path, FIRST)

    def disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, stage, disk_full)
    with pytest.raises(ThermodaError, match=r"a\.nc: cannot be written .*No space left"):
        write_state(path, FIRST, _slightly_changed(state), layout)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_that_a_file_that_reads_back_differently_is_not_accepted(
    tmp_path: Path, small_history: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_history(tmp_path / "a.nc")
    before = path.read_bytes()
    layout, state = _opened(path, FIRST)
    monkeypatch.setattr(history_writer, "_overwrite", lambda _path, _index, changes: dict(changes))
    with pytest.raises(ThermodaError, match="was written but does not read back as what was meant"):
        write_state(path, FIRST, _slightly_changed(state), layout)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_that_states_which_cannot_be_written_are_refused(tmp_path: Path, small_history: Callable[..., Path]) -> None:
    path = small_history(tmp_path / "a.nc")
    layout, state = _opened(path, FIRST)
    broken = state.copy()
    broken[layout.offset("mass_fraction_He")] = np.nan
    with pytest.raises(ThermodaError, match="the state is not finite, first mass_fraction_He at level -6.75"):
        write_state(path, FIRST, broken, layout)
    with pytest.raises(ValueError, match="a state of shape"):
        write_state(path, FIRST, state[:-1], layout)
    with pytest.raises(ThermodaError, match="has no history of 2002-03-23T00:00:00"):
        write_state(path, FIRST + np.timedelta64(1, "D"), state, layout)


def test_that_states_are_neither_read_from_nor_written_to_another_grid(
    tmp_path: Path, small_history: Callable[..., Path]
) -> None:
    path, other = small_history(tmp_path / "a.nc"), small_history(tmp_path / "b.nc", latitudes=6)
    layout, state = _opened(path, FIRST)
    with pytest.raises(ThermodaError, match="has 6 latitudes from -75 to 75; the state has 4 from -67.5 to 67.5"):
        read_state(other, FIRST, layout)
    with pytest.raises(ThermodaError, match="has 6 latitudes"):
        write_state(other, FIRST, state, layout)


@pytest.mark.parametrize("value", [np.nan, 1e36])
def test_that_a_state_with_missing_or_broken_values_is_not_read(
    tmp_path: Path, small_history: Callable[..., Path], value: float
) -> None:
    path = small_history(tmp_path / "a.nc")
    layout = layout_of(read_header(path))
    with Dataset(path, "r+") as dataset:
        dataset.set_auto_maskandscale(False)
        dataset["O1"][0, -1, 0, 0] = value
    with pytest.raises(
        ThermodaError, match="1 values of the state are missing or not finite, first mass_fraction_O at"
    ):
        read_state(path, FIRST, layout)
