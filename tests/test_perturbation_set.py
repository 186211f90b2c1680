"""Additive inflation from a file: what the file may hold, what is read of it, and what the members get."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from netCDF4 import Dataset
from numpy.testing import assert_allclose, assert_array_equal

from da.errors import ThermodaError
from da.model import THERMOSPHERE_FIELDS, StateField, StateGrid, StateLayout
from da.parallel import SerialCommunicator, share
from da.perturbation_set import AdditiveInflation, PerturbationSet, write_perturbation_set

GRID = StateGrid(np.array([-1.0, 0.0, 1.0]), np.array([-45.0, 45.0]), np.arange(0.0, 360.0, 90.0))
LAYOUT = StateLayout(THERMOSPHERE_FIELDS, GRID)
PER_LEVEL = 8
TEMPERATURE, TEMPERATURE_PREVIOUS, OXYGEN = slice(0, 24), slice(24, 48), slice(48, 72)


def drawn_samples(layout: StateLayout = LAYOUT, count: int = 5, seed: int = 1) -> np.ndarray:
    """Different samples for every field and twin."""
    return np.random.default_rng(seed).standard_normal((layout.state_size, count))


@pytest.fixture
def whole_set(tmp_path: Path) -> PerturbationSet:
    write_perturbation_set(tmp_path / "set.nc", LAYOUT, drawn_samples())
    return PerturbationSet.open(tmp_path / "set.nc", LAYOUT)


def edited(tmp_path: Path, edit: Callable[[Dataset], Any]) -> Path:
    """A set whose twins equal their fields and are not in the file, changed afterwards."""
    samples = drawn_samples()
    for twin in range(1, 8, 2):
        samples[24 * twin : 24 * twin + 24] = samples[24 * twin - 24 : 24 * twin]
    path = tmp_path / "edited.nc"
    write_perturbation_set(path, LAYOUT, samples)
    with Dataset(path, "a") as dataset:
        edit(dataset)
    return path


def with_variable(name: str, dimensions: tuple[str, ...], kind: str = "f8") -> Callable[[Dataset], Any]:
    return lambda dataset: dataset.createVariable(name, kind, dimensions)


def test_that_samples_come_back_as_they_were_written_in_the_order_asked_for(whole_set: PerturbationSet) -> None:
    assert whole_set.sample_count == 5
    numbers = np.array([3, 0, 3, 4])
    assert_array_equal(whole_set.samples(numbers), drawn_samples()[:, numbers])
    assert whole_set.samples(numbers[:0]).shape == (LAYOUT.state_size, 0)


def test_that_a_twin_moves_with_its_field_unless_it_has_samples_of_its_own(tmp_path: Path) -> None:
    def own_twin(dataset: Dataset) -> None:
        dimensions = ("sample", "level", "latitude", "longitude")
        dataset.createVariable("mass_fraction_O_previous", "f8", dimensions)[:] = 7.0

    path = edited(tmp_path, own_twin)
    with Dataset(path) as dataset:
        assert "temperature_previous" not in dataset.variables
    states = PerturbationSet.open(path, LAYOUT).samples(np.arange(5))
    assert_array_equal(states[TEMPERATURE], drawn_samples()[TEMPERATURE])
    assert_array_equal(states[TEMPERATURE_PREVIOUS], states[TEMPERATURE])
    assert_array_equal(states[OXYGEN], drawn_samples()[OXYGEN])
    assert_array_equal(states[72:96], np.full((24, 5), 7.0))


def test_that_fields_missing_from_the_file_are_not_perturbed(tmp_path: Path) -> None:
    only = StateLayout(THERMOSPHERE_FIELDS[:1], GRID)
    path = tmp_path / "temperature.nc"
    write_perturbation_set(path, only, drawn_samples(only))
    found = PerturbationSet.open(path, LAYOUT)
    assert found.fields == {"temperature": ("temperature", "temperature_previous")}
    states = found.samples(np.arange(5))
    assert np.abs(states[:48]).min() > 0.0
    assert not states[48:].any()


def test_that_slots_without_data_get_zero_whatever_the_file_has_there(tmp_path: Path) -> None:
    fields = (StateField("temperature", "K", missing_top_levels=1), StateField("temperature_previous", "K"))
    layout = StateLayout(fields, GRID)
    samples = drawn_samples(layout)
    samples[2 * PER_LEVEL : 3 * PER_LEVEL] = np.nan
    path = tmp_path / "set.nc"
    write_perturbation_set(path, layout, samples)
    states = PerturbationSet.open(path, layout).samples(np.arange(5))
    assert not states[2 * PER_LEVEL : 3 * PER_LEVEL].any()
    assert_array_equal(states[: 2 * PER_LEVEL], samples[: 2 * PER_LEVEL])
    assert_array_equal(states[3 * PER_LEVEL :], samples[3 * PER_LEVEL :])


def test_that_names_of_dimensions_are_free_and_packed_single_precision_is_read(tmp_path: Path) -> None:
    path = tmp_path / "foreign.nc"
    with Dataset(path, "w") as dataset:
        for name, size in (("time", 3), ("lev", 3), ("lat", 2), ("lon", 4)):
            dataset.createDimension(name, size)
        dataset.createVariable("time", str, ("time",))[:] = np.array(["a", "b", "c"], dtype=object)
        dataset.createVariable("lat", "f4", ("lat",))[:] = GRID.latitude
        packed = dataset.createVariable("temperature", "i2", ("time", "lev", "lat", "lon"))
        packed.setncatts({"scale_factor": 0.5, "add_offset": 10.0, "units": "K"})
        packed[:] = 12.0
    states = PerturbationSet.open(path, LAYOUT).samples(np.array([2]))
    assert_array_equal(states[:48, 0], np.full(48, 12.0))


def rename_levels(dataset: Dataset) -> None:
    dataset.renameDimension("level", "lev")
    dataset.createVariable("lev", "f8", ("sample",))


FAULTS: list[tuple[Callable[[Dataset], Any], str]] = [
    (
        with_variable("temprature", ("sample", "level", "latitude", "longitude")),
        "the state has no field 'temprature'; did you mean temperature?",
    ),
    (with_variable("wind", ("sample",)), "the state has no field 'wind'; it has: temperature, "),
    (
        lambda dataset: dataset.renameVariable("temperature", "temperature_previous"),
        "has temperature_previous without temperature; give temperature",
    ),
    (
        with_variable("mass_fraction_O_previous", ("level", "latitude", "longitude", "sample")),
        "mass_fraction_O_previous has the dimensions (level 3, latitude 2, longitude 4, sample 5); "
        "it must have (sample, level 3, latitude 2, longitude 4)",
    ),
    (
        with_variable("mass_fraction_O_previous", ()),
        "mass_fraction_O_previous has the dimensions (); it must have (sample, level 3,",
    ),
    (
        with_variable("mass_fraction_O_previous", ("sample", "level", "latitude", "longitude"), "S1"),
        "mass_fraction_O_previous must hold numbers, not |S1",
    ),
    (
        lambda dataset: (
            dataset.createDimension("case", 5),
            dataset.createVariable("mass_fraction_O_previous", "f8", ("case", "level", "latitude", "longitude")),
        ),
        "mass_fraction_O_previous counts its samples by 'case'; it must be 'sample', as for temperature",
    ),
    (
        lambda dataset: dataset.variables["mass_fraction_O"].setncattr("units", "percent"),
        "the units of mass_fraction_O are 'percent'; they must be '1'",
    ),
    (
        lambda dataset: dataset.variables["longitude"].__setitem__(slice(None), GRID.longitude - 180.0),
        "longitude[0] is -180 and must be 0; the longitude of the model has 4 values from 0 to 270",
    ),
    (
        lambda dataset: dataset.variables["level"].__setitem__(1, np.nan),
        "level[1] is nan and must be 0; the level of the model has 3 values from -1 to 1",
    ),
    (
        rename_levels,
        "lev has the shape (5,); the level of the model has 3 values from -1 to 1",
    ),
    (
        lambda dataset: dataset.variables["mass_fraction_He"].__setitem__((4, 2, 1, 3), np.inf),
        "mass_fraction_He of sample 4 is inf or missing at level 1, latitude 45, longitude 270; "
        "every value must be finite",
    ),
    (
        lambda dataset: dataset.variables["temperature"].__setitem__((2, 0, 0, 0), np.ma.masked),
        "temperature of sample 2 is nan or missing at level -1, latitude -45, longitude 0",
    ),
]


@pytest.mark.parametrize(("edit", "problem"), FAULTS, ids=[problem[:40] for _, problem in FAULTS])
def test_that_a_faulty_file_is_told_with_what_would_be_right(
    tmp_path: Path, edit: Callable[[Dataset], Any], problem: str
) -> None:
    path = edited(tmp_path, edit)
    with pytest.raises(ThermodaError) as caught:
        PerturbationSet.open(path, LAYOUT)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert "\n" not in str(caught.value)


def test_that_a_file_without_samples_or_fields_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.nc"

    def fault() -> str:
        with pytest.raises(ThermodaError) as caught:
            PerturbationSet.open(path, LAYOUT)
        return str(caught.value).removeprefix(f"{path}: ")

    assert fault() == "there is no such file (analysis.additive_inflation.file)"
    path.write_text("no netCDF")
    assert fault().startswith("is not a netCDF file that can be read")
    with Dataset(path, "w") as dataset:
        for name, size in (("sample", 1), ("z", 3), ("y", 2), ("x", 4)):
            dataset.createDimension(name, size)
    assert fault().startswith("has no field of the state; it needs at least one of: temperature, ")
    with Dataset(path, "a") as dataset:
        dataset.createVariable("temperature", "f8", ("sample", "z", "y", "x"))[:] = 1.0
    assert fault() == "temperature has 1 samples; at least 2 are needed"


def test_that_only_the_samples_asked_for_are_read(tmp_path: Path) -> None:
    path = edited(tmp_path, lambda dataset: dataset.variables["temperature"].__setitem__((3, 0, 0, 0), np.nan))
    found = PerturbationSet.open(path, LAYOUT, check_values=False)
    numbers = np.array([0, 1, 2, 4])
    assert_array_equal(found.samples(numbers)[TEMPERATURE], drawn_samples()[TEMPERATURE][:, numbers])
    with pytest.raises(ThermodaError, match="temperature of sample 3 is nan"):
        found.samples(np.array([3]))


def test_that_a_file_that_changes_after_it_was_checked_is_told(whole_set: PerturbationSet) -> None:
    other = StateLayout(LAYOUT.fields, StateGrid(GRID.level, GRID.latitude, np.arange(0.0, 360.0, 60.0)))
    write_perturbation_set(whole_set.path, other, drawn_samples(other))
    with pytest.raises(ThermodaError, match="temperature has changed its shape"):
        whole_set.samples(np.array([0]))
    write_perturbation_set(whole_set.path, StateLayout(LAYOUT.fields[:1], GRID), drawn_samples()[:24])
    with pytest.raises(ThermodaError, match="sample 0 of temperature_previous cannot be read"):
        whole_set.samples(np.array([0]))


def test_that_reading_takes_little_more_memory_than_what_it_returns(tmp_path: Path) -> None:
    grid = StateGrid(np.arange(29.0), np.arange(-85.0, 90.0, 10.0), np.arange(0.0, 360.0, 10.0))
    layout = StateLayout(THERMOSPHERE_FIELDS, grid)
    path = tmp_path / "large.nc"
    write_perturbation_set(path, layout, drawn_samples(layout, 24))
    tracemalloc.start()
    try:
        found = PerturbationSet.open(path, layout)
        opening = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        states = found.samples(np.array([5, 17]))
        reading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # One variable of one sample, masked, as numbers, filled and compared; the file holds 192 of them.
    one = 8 * grid.cells
    assert opening < 8 * one
    assert reading < states.nbytes + 2 * one + 8 * one


def test_that_numbers_beyond_the_set_are_refused(whole_set: PerturbationSet) -> None:
    for numbers in ([5], [-1], [[0]]):
        with pytest.raises(ValueError, match="must lie between 0 and 4"):
            whole_set.samples(np.array(numbers))


def test_that_samples_that_make_no_set_are_not_written(tmp_path: Path) -> None:
    for wrong in (np.zeros((3, 4)), np.zeros((LAYOUT.state_size, 1)), np.zeros(LAYOUT.state_size)):
        with pytest.raises(ValueError, match=r"must be \(192, at least 2\)"):
            write_perturbation_set(tmp_path / "set.nc", LAYOUT, wrong)
    samples = drawn_samples()
    samples[30, 1] = np.nan
    with pytest.raises(ValueError, match="samples of temperature_previous are not all finite"):
        write_perturbation_set(tmp_path / "set.nc", LAYOUT, samples)
    assert not (tmp_path / "set.nc").exists()
    with pytest.raises(ThermodaError, match="cannot be written"):
        write_perturbation_set(tmp_path / "nowhere" / "set.nc", LAYOUT, drawn_samples())


class ManyRanks:
    """One rank of several whose contributions are known: first they are noted, then each rank is given all of them."""

    def __init__(self, rank: int, size: int, notes: list[list[Any]]) -> None:
        self.rank, self.size, self._notes = rank, size, notes
        self._noted = notes[rank][:] if all(notes) else None

    def allgather(self, item: Any) -> list[Any]:
        if self._noted is None:
            self._notes[self.rank].append(item)
            return [item] * self.size
        number = len(self._notes[self.rank]) - len(self._noted)
        self._noted.pop()
        return [notes[number] for notes in self._notes]


def on_ranks(size: int, work: Callable[[Any], np.ndarray]) -> list[np.ndarray]:
    """What ``work`` returns on each rank; what it sends must not depend on what it receives."""
    notes: list[list[Any]] = [[] for _ in range(size)]
    for rank in range(size):
        work(ManyRanks(rank, size, notes))
    return [work(ManyRanks(rank, size, notes)) for rank in range(size)]


@pytest.mark.parametrize(("size", "members"), [(1, 4), (2, 4), (3, 4), (2, 7), (7, 7)])
def test_that_the_result_does_not_depend_on_the_number_of_ranks(
    whole_set: PerturbationSet, size: int, members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("da.perturbation_set.ROWS_PER_EXCHANGE", 7)
    states = 300.0 + np.random.default_rng(3).standard_normal((LAYOUT.state_size, members))
    before = states.copy()

    def add(comm: Any) -> np.ndarray:
        own = share(members, comm.size, comm.rank)
        return AdditiveInflation(whole_set, 0.4, comm, members, 11).add(states[:, own.start : own.stop], 6)

    whole = add(SerialCommunicator())
    assert_array_equal(states, before)
    # By hand: the perturbations of all members, less their mean.
    samples = drawn_samples()[:, AdditiveInflation(whole_set, 0.4, SerialCommunicator(), members, 11).drawn(6)]
    assert_allclose(whole, states + 0.4 * (samples - samples.mean(axis=1, keepdims=True)), rtol=1e-14)
    # States near 300 are rounded to 300 x 2^-52, their mean to about as much.
    assert_allclose(whole.mean(axis=1), states.mean(axis=1), rtol=0.0, atol=300.0 * 2**-50)
    assert_allclose(np.hstack(on_ranks(size, add)), whole, rtol=1e-14)


def test_that_draws_follow_seed_and_cycle_alone(whole_set: PerturbationSet) -> None:
    def drawn(seed: int, cycle: int, members: int = 40) -> list[int]:
        return AdditiveInflation(whole_set, 1.0, SerialCommunicator(), members, seed).drawn(cycle).tolist()

    assert drawn(1, 3) == drawn(1, 3)
    cycles = (0, 1, 2, -1, -2, 1_270_425_600)
    assert len({tuple(drawn(seed, cycle)) for seed in range(3) for cycle in cycles}) == 18
    assert sorted(drawn(1, 0)) == sorted(list(range(5)) * 8)


def test_that_whole_states_serve_as_well_as_their_deviations(tmp_path: Path) -> None:
    samples, members = drawn_samples(), 4
    results = []
    for name, offset in (("deviations.nc", 0.0), ("states.nc", 800.0)):
        write_perturbation_set(tmp_path / name, LAYOUT, samples + offset)
        inflation = AdditiveInflation(PerturbationSet.open(tmp_path / name, LAYOUT), 1.0, SerialCommunicator(), 4, 2)
        results.append(inflation.add(np.zeros((LAYOUT.state_size, members)), 0))
    # The second set is rounded to 800 x 2^-53.
    assert_allclose(results[0], results[1], rtol=0.0, atol=800.0 * 2**-50)


def test_that_rows_without_perturbations_stay_bit_for_bit(tmp_path: Path) -> None:
    only = StateLayout(THERMOSPHERE_FIELDS[:1], GRID)
    write_perturbation_set(tmp_path / "set.nc", only, drawn_samples(only))
    found = PerturbationSet.open(tmp_path / "set.nc", LAYOUT)
    states = np.random.default_rng(8).standard_normal((LAYOUT.state_size, 6))
    result = AdditiveInflation(found, 2.0, SerialCommunicator(), 6, 0).add(states, 0)
    assert_array_equal(result[48:], states[48:])
    # Both time levels move by the same amount, to the rounding of numbers of order one.
    assert_allclose((result - states)[TEMPERATURE], (result - states)[TEMPERATURE_PREVIOUS], rtol=0.0, atol=1e-14)
    assert np.abs((result - states)[TEMPERATURE]).max() > 1.0


def test_that_additive_inflation_refuses_wrong_arguments(whole_set: PerturbationSet) -> None:
    for factor in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="factor of additive inflation"):
            AdditiveInflation(whole_set, factor, SerialCommunicator(), 4, 0)
    with pytest.raises(ValueError, match="are not those of 4 members"):
        AdditiveInflation(whole_set, 1.0, SerialCommunicator(), 4, 0).add(np.zeros((LAYOUT.state_size, 3)), 0)


def test_that_a_file_lost_during_the_run_is_told_with_the_phase(whole_set: PerturbationSet) -> None:
    inflation = AdditiveInflation(whole_set, 1.0, SerialCommunicator(), 4, 0)
    whole_set.path.unlink()
    with pytest.raises(ThermodaError, match=r"^additive inflation: .*set\.nc: there is no such file"):
        inflation.add(np.zeros((LAYOUT.state_size, 4)), 0)
