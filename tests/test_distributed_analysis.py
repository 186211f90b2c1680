"""Sub-domains over ranks and slabs: the same analysis whoever makes it, and failures told with their place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import da.distributed_analysis
from da.analysis import AnalysisResult, FilterSettings, LocalizedAnalysis
from da.analysis_engine import AnalysisSettings, state_rows
from da.analysis_observations import ObservedBatch, SourceLocalization
from da.distributed_analysis import DistributedAnalysis
from da.errors import ThermodaError
from da.filters import naive
from da.filters.lestkf import ObservedEnsemble
from da.inflation import AdaptiveInflationSettings, relax_to_prior_spread
from da.inflation.prior import PriorInflation, PriorInflationKind
from da.localization import (
    IndexMetric,
    Localization,
    LocalObservations,
    SubDomains,
    Weighting,
    block_sub_domains,
    select_local_observations,
)
from da.model import MemberInputs, StateField, StateGrid, StateLayout
from da.observations import ObservationBatch
from da.parallel import Communicator, SerialCommunicator, share
from da.parameters import ParameterSettings

T = TypeVar("T")
TIME = np.datetime64("2010-04-05T00:00", "ns")
MEMBERS = 7
GRID = StateGrid(np.arange(4.0), np.arange(-67.5, 90.0, 45.0), np.arange(6) * 60.0)
LAYOUT = StateLayout((StateField("x", "1", missing_top_levels=1), StateField("y", "1")), GRID)
PLAIN = AnalysisSettings()
WAIT_S = 20.0
"""Longer than any test takes; a rank that waits longer has been left alone by another one."""


class Meeting:
    """Where the ranks of one group exchange what they have."""

    def __init__(self, size: int) -> None:
        self.size, self.barrier, self.items = size, threading.Barrier(size, timeout=WAIT_S), [None] * size


class ThreadCommunicator:
    """Ranks that are threads."""

    def __init__(self, meeting: Meeting, rank: int) -> None:
        self.rank, self.size, self._meeting = rank, meeting.size, meeting

    def allgather(self, item: T) -> list[T]:
        self._meeting.items[self.rank] = item  # type: ignore[call-overload]
        self._meeting.barrier.wait()
        items: list[Any] = list(self._meeting.items)
        self._meeting.barrier.wait()
        return items

    def broadcast(self, item: T | None) -> T:
        result = self.allgather(item)[0]
        assert result is not None
        return result

    def gather(self, item: T) -> list[T] | None:
        items = self.allgather(item)
        return items if self.rank == 0 else None

    def exchange(self, blocks: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        sent = self.allgather([block.copy() for block in blocks])
        return [sent[rank][self.rank].reshape(shape) for rank, shape in enumerate(shapes)]

    def abort(self, code: int) -> None:
        raise SystemExit(code)

    def finalize(self) -> None:
        pass


def on_ranks(size: int, work: Callable[[Communicator], T]) -> list[T | Exception]:
    """Return what ``work`` returns or raises on each rank."""
    meeting = Meeting(size)

    def one(rank: int) -> T | Exception:
        ended = False
        try:
            result: T | Exception = work(ThreadCommunicator(meeting, rank))
            ended = True
        except ThermodaError as error:
            result, ended = error, True
        finally:
            if not ended:
                meeting.barrier.abort()
        return result

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))


def test_that_state_rows_are_those_of_every_field_without_empty_slots() -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(GRID.cells)
    cells = [np.sort(order[:5]), order[5:6], order[6:30], np.zeros(0, dtype=np.int64), np.sort(order[30:])]
    rows, start = state_rows(LAYOUT, cells)
    for number, own in enumerate(cells):
        real = own[own < 3 * 24]
        expected = np.concatenate([real, GRID.cells + own])
        assert_array_equal(rows[start[number] : start[number + 1]], expected)
    assert start[-1] == rows.size == LAYOUT.state_size - 24
    assert np.unique(rows).size == rows.size


def test_that_there_are_no_rows_without_cells() -> None:
    rows, start = state_rows(LAYOUT, [])
    assert rows.size == 0
    assert start.tolist() == [0]


def test_that_a_sub_domain_of_empty_slots_has_no_rows() -> None:
    layout = StateLayout(LAYOUT.fields[:1], GRID)
    rows, start = state_rows(layout, [np.array([72, 73]), np.array([0, 72])])
    assert (rows.tolist(), start.tolist()) == ([0], [0, 0, 1])


def _problem(
    seed: int = 0, skewed: bool = False
) -> tuple[np.ndarray, ObservedEnsemble, Callable[[np.ndarray], LocalObservations]]:
    """Return states, observations and the selection of those that are local to centres."""
    rng, count = np.random.default_rng(seed), 60
    states = rng.standard_normal((LAYOUT.state_size, MEMBERS)) + 3.0
    observed = ObservedEnsemble.of(
        rng.standard_normal((count, MEMBERS)), rng.standard_normal(count), rng.uniform(0.5, 2.0, count)
    )
    width = np.array([0.4, 0.5, 0.6]) if skewed else np.array(GRID.shape) - 1.0
    position = rng.uniform(0.0, 1.0, (count, 3)) * width
    localization, metric = Localization(1.7, Weighting.GASPARI_COHN, 2.5), IndexMetric(6.0)
    return states, observed, lambda centre: select_local_observations(centre, position, localization, metric)


def _reference(
    states: np.ndarray, observed: ObservedEnsemble, local: LocalObservations, domains: SubDomains, factor: np.ndarray
) -> np.ndarray:
    """Return the textbook analysis, sub-domain by sub-domain."""
    result = states.copy()
    for number, cells in enumerate(domains.cells):
        rows, (index, weight) = state_rows(LAYOUT, [cells])[0], local.of(number)
        if index.size:
            # The innovation is y minus the mean of HX; only that and the anomalies matter.
            result[rows] = naive.estkf(
                states[rows],
                observed.anomalies[index],
                observed.innovation[index],
                weight / observed.variance[index],
                factor[number],
            )
    return result


def _analysed(
    comm: Communicator,
    domains: SubDomains,
    settings: AnalysisSettings = PLAIN,
    balance: bool = False,
    skewed: bool = False,
) -> tuple[np.ndarray, np.ndarray, bool, int]:
    """Return analysis and degrees of freedom of the whole, whether shares were dealt anew, and the size of the own."""
    states, observed, select = _problem(skewed=skewed)
    engine = DistributedAnalysis(comm, LAYOUT, domains, MEMBERS)
    moved = balance and engine.balance(select(engine.centre[engine.own]).counts)
    own = share(MEMBERS, comm.size, comm.rank)
    local, factor = select(engine.centre[engine.own]), 0.7 + 0.3 * engine.own / len(domains)
    mine = np.ascontiguousarray(states[:, own.start : own.stop])
    before = mine.copy()
    updated, freedom = engine.analyse(mine, observed, local, factor, settings, "analysis")
    assert_array_equal(mine, before)
    return np.concatenate(comm.allgather(updated), axis=1), engine.gather(freedom), moved, engine.own.size


BLOCKS = block_sub_domains(GRID.shape, (2, 1, 2))
COLUMNS = block_sub_domains(GRID.shape, (4, 2, 2))


@pytest.mark.parametrize("domains", [BLOCKS, COLUMNS, block_sub_domains(GRID.shape, GRID.shape)])
def test_that_the_analysis_is_the_textbook_one_and_spares_slots_without_data(domains: SubDomains) -> None:
    states, observed, select = _problem()
    analysis, freedom, _, _ = _analysed(SerialCommunicator(), domains)
    local = select(domains.centre)
    expected = _reference(states, observed, local, domains, 0.7 + 0.3 * np.arange(len(domains)) / len(domains))
    assert_allclose(analysis, expected, atol=1e-12)
    assert_array_equal(analysis[72:96], states[72:96])
    assert np.all((freedom > 0.0) == (local.counts > 0))


@pytest.mark.parametrize("slab_bytes", [1, 1000, 5000])
def test_that_the_size_of_slabs_changes_nothing(slab_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fraction = np.random.default_rng(3).uniform(0.0, 1.0, LAYOUT.state_size)
    settings = AnalysisSettings(partial(relax_to_prior_spread, relaxation=0.4), fraction)
    whole, freedom, _, _ = _analysed(SerialCommunicator(), BLOCKS, settings)
    monkeypatch.setattr(da.distributed_analysis, "SLAB_BYTES", slab_bytes)
    sliced, sliced_freedom, _, _ = _analysed(SerialCommunicator(), BLOCKS, settings)
    # Matrix products of several sub-domains at once may round as one product does or not.
    assert_allclose(sliced, whole, rtol=1e-13, atol=1e-13)
    assert_allclose(sliced_freedom, freedom, rtol=1e-13)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("slab_bytes", [2000, 64 * 2**20])
def test_that_ranks_and_their_slabs_change_nothing(size: int, slab_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fraction = np.random.default_rng(3).uniform(0.0, 1.0, LAYOUT.state_size)
    settings = AnalysisSettings(partial(relax_to_prior_spread, relaxation=0.4), fraction)
    whole, freedom, _, _ = _analysed(SerialCommunicator(), BLOCKS, settings)
    monkeypatch.setattr(da.distributed_analysis, "SLAB_BYTES", slab_bytes)
    for found in on_ranks(size, lambda comm: _analysed(comm, BLOCKS, settings)):
        assert_allclose(found[0], whole, rtol=1e-13, atol=1e-13)
        assert_allclose(found[1], freedom, rtol=1e-13)


def test_that_ranks_without_a_sub_domain_do_no_harm() -> None:
    domains = block_sub_domains(GRID.shape, GRID.shape)
    whole, freedom, _, _ = _analysed(SerialCommunicator(), domains)
    found = on_ranks(3, lambda comm: _analysed(comm, domains, balance=True))
    assert sorted(one[3] for one in found) == [0, 0, 1]
    for analysis, own_freedom, _, _ in found:
        assert_allclose(analysis, whole, rtol=1e-13, atol=1e-13)
        assert_allclose(own_freedom, freedom, rtol=1e-13)


def _skewed_domains() -> SubDomains:
    """Return sub-domains of which those with many observations come to rank 0 as they are dealt out in turn."""
    local = _problem(skewed=True)[2](BLOCKS.centre)
    order = np.argsort(-local.counts, kind="stable")
    busy, idle = order[: order.size // 2], order[order.size // 2 :]
    turn = np.column_stack([busy, idle]).ravel()
    return SubDomains([BLOCKS.cells[number] for number in turn], BLOCKS.centre[turn])


def _cost_of_observations(counts: np.ndarray, rows: np.ndarray, members: int) -> np.ndarray:
    """Return costs that skewed observations make as skewed; in so small a problem the constant cost hides that."""
    return np.asarray(counts, dtype=np.float64) + 0.1


@pytest.mark.parametrize("slab_bytes", [2000, 64 * 2**20])
def test_that_skewed_observations_are_dealt_out_anew_with_the_same_result(
    slab_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(da.distributed_analysis, "predicted_cost", _cost_of_observations)
    domains = _skewed_domains()
    whole, freedom, moved, _ = _analysed(SerialCommunicator(), domains, balance=True, skewed=True)
    assert not moved
    monkeypatch.setattr(da.distributed_analysis, "SLAB_BYTES", slab_bytes)
    for found in on_ranks(2, lambda comm: _analysed(comm, domains, balance=True, skewed=True)):
        assert found[2]
        assert_allclose(found[0], whole, rtol=1e-13, atol=1e-13)
        assert_allclose(found[1], freedom, rtol=1e-13)


def _deal(comm: Communicator, counts: np.ndarray) -> tuple[bool, np.ndarray, bool, np.ndarray]:
    engine = DistributedAnalysis(comm, LAYOUT, BLOCKS, MEMBERS)
    first = engine.balance(counts[engine.own])
    own = engine.own
    second = engine.balance(counts[own])
    return first, own, second, engine.gather(10 * engine.own)


def test_that_shares_are_balanced_once_and_hold_every_sub_domain() -> None:
    counts = np.where(np.arange(len(BLOCKS)) % 3 == 0, 600, 0)
    found = on_ranks(3, lambda comm: _deal(comm, counts))
    assert [(one[0], one[2]) for one in found] == [(True, False)] * 3
    assert_array_equal(np.sort(np.concatenate([one[1] for one in found])), np.arange(len(BLOCKS)))
    assert sorted(np.count_nonzero(counts[one[1]]) for one in found) == [2, 3, 3]
    for one in found:
        assert_array_equal(one[3], 10 * np.arange(len(BLOCKS)))


def test_that_even_shares_stay_as_they_are() -> None:
    found = on_ranks(2, lambda comm: _deal(comm, np.full(len(BLOCKS), 5)))
    assert [one[0] for one in found] == [False, False]
    assert [one[1].tolist() for one in found] == [
        list(range(0, len(BLOCKS), 2)),
        list(range(1, len(BLOCKS), 2)),
    ]


def _failing(comm: Communicator, row: int) -> None:
    states, observed, select = _problem()
    states[row, 2] = np.inf
    engine = DistributedAnalysis(comm, LAYOUT, BLOCKS, MEMBERS)
    own = share(MEMBERS, comm.size, comm.rank)
    local = select(engine.centre[engine.own])
    mine = np.ascontiguousarray(states[:, own.start : own.stop])
    with np.errstate(invalid="ignore"):
        engine.analyse(mine, observed, local, np.ones(engine.own.size), AnalysisSettings(), "analysis at noon")


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("slab_bytes", [2000, 64 * 2**20])
def test_that_a_failing_sub_domain_is_told_by_number_and_place_on_all_ranks(
    size: int, slab_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(da.distributed_analysis, "SLAB_BYTES", slab_bytes)
    # Block 16 of 24: upper levels, second row of latitudes, second pair of longitudes; its cells are
    # (2..3, 1, 2..3), the one in the middle is (3, 1, 2).
    row = GRID.cells + int(np.ravel_multi_index((2, 1, 3), GRID.shape))
    assert row - GRID.cells in BLOCKS.cells[16].tolist()
    errors = on_ranks(size, lambda comm: _failing(comm, row))
    for error in errors:
        assert isinstance(error, ThermodaError)
        assert str(error) == (
            "analysis at noon: sub-domain 16 around level 3, latitude -22.5, longitude 120 failed: "
            "the analysis is not finite"
        )


def _observe(states: np.ndarray, height: np.ndarray, batch: ObservationBatch) -> np.ndarray:
    """Return y of the nearest cell; level k lies at 100 + 50 k km."""
    level = np.rint((batch.altitude_km - 100.0) / 50.0).astype(int)
    row = np.rint((batch.latitude + 67.5) / 45.0).astype(int)
    column = np.rint(batch.longitude / 60.0).astype(int) % 6
    return states[GRID.cells + np.ravel_multi_index((level, row, column), GRID.shape)]


def _height(states: np.ndarray) -> np.ndarray:
    rise = 1e5 + 5e4 * np.arange(4.0)[:, None, None, None]
    return np.broadcast_to(rise, (*GRID.shape, states.shape[1]))


def _cycled(comm: Communicator) -> tuple[np.ndarray, list[AnalysisResult], np.ndarray]:
    """Return the states after three whole analyses on crowded observations, with all that has a memory or a sum."""
    rng, count = np.random.default_rng(5), 40
    states = rng.standard_normal((LAYOUT.state_size, MEMBERS)) + 1.0
    parameter = rng.standard_normal(MEMBERS)
    settings = FilterSettings(
        {"grid": SourceLocalization(Localization(1.6, Weighting.GASPARI_COHN, 2.0), regulated=True)},
        PriorInflation(PriorInflationKind.ADAPTIVE, adaptive=AdaptiveInflationSettings()),
        update_fractions={"x": 0.7},
        innovation_threshold=4.0,
        parameters={"p": ParameterSettings(0.5, relaxation=0.5)},
    )
    layout = StateLayout((LAYOUT.fields[0], StateField("y", "1", lower=-0.5)), GRID)
    own = share(MEMBERS, comm.size, comm.rank)
    engine = DistributedAnalysis(comm, layout, _skewed_domains(), MEMBERS)
    analysis = LocalizedAnalysis(comm, layout, engine, settings, _observe)
    inputs, mine, results = MemberInputs({"p": parameter[own.start : own.stop]}), states[:, own.start : own.stop], []
    for hour in range(3):
        time = TIME + np.timedelta64(hour, "h")
        level, row, column = rng.integers(0, [[2], [2], [3]], (3, count))
        batch = ObservationBatch(
            rng.standard_normal(count) * 3.0,
            np.full(count, 0.8),
            45.0 * row - 67.5,
            60.0 * column,
            50.0 * level + 100.0,
            time,
            "grid",
            np.ones(count),
        )
        # One half was compared with an earlier state, and is transformed instead of observed again.
        half = np.arange(count) < count // 2
        parts = [batch.select(half), batch.select(~half)]
        earlier = ObservationBatch(**{**vars(parts[0]), "time": time - np.timedelta64(30, "m")})
        full = np.concatenate(comm.allgather(np.ascontiguousarray(mine)), axis=1)
        observed = [ObservedBatch("grid", one, _observe(full, full, one)) for one in (earlier, parts[1])]
        result = analysis.update(np.ascontiguousarray(mine), _height, inputs, observed, time)
        mine, inputs = result.states, result.inputs
        results.append(result)
    whole = np.concatenate(comm.allgather(np.ascontiguousarray(mine)), axis=1)
    return whole, results, np.concatenate(comm.allgather(inputs.perturbations["p"]))


@pytest.mark.parametrize("size", [2, 3])
def test_that_a_whole_analysis_and_its_memory_do_not_depend_on_ranks(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, balance = [], DistributedAnalysis.balance

    def spied(engine: DistributedAnalysis, own_counts: np.ndarray) -> bool:
        moved.append(balance(engine, own_counts))
        return moved[-1]

    monkeypatch.setattr(da.distributed_analysis, "predicted_cost", _cost_of_observations)
    monkeypatch.setattr(DistributedAnalysis, "balance", spied)
    states, results, parameter = _cycled(SerialCommunicator())
    assert not results[-1].diagnostics.used.all()
    assert results[-1].diagnostics.constraint_hits["y"] > 0
    assert results[-1].diagnostics.inflation is not None
    assert np.ptp(results[-1].diagnostics.inflation.mean) > 0.01
    for found in on_ranks(size, _cycled):
        assert_allclose(found[0], states, rtol=1e-12, atol=1e-12)
        assert_allclose(found[2], parameter, rtol=1e-12, atol=1e-12)
        for mine, theirs in zip(found[1], results, strict=True):
            one, other = mine.diagnostics, theirs.diagnostics
            assert_array_equal(one.used, other.used)
            assert_array_equal(one.local_observations, other.local_observations)
            assert one.constraint_hits == other.constraint_hits
            for name in ("forecast", "analysis", "degrees_of_freedom", "forgetting_factor"):
                assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-12)
            assert one.inflation is not None
            assert other.inflation is not None
            assert_allclose(one.inflation.mean, other.inflation.mean, rtol=1e-12)
            assert_allclose(one.inflation.standard_deviation, other.inflation.standard_deviation, rtol=1e-12)
    assert any(moved)
