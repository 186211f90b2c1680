"""Quantiles of histograms, and reduction over chunks with and without dask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da.verification.chunks import map_reduce, slices
from da.verification.evaluation import RowStatistics
from da.verification.quantiles import LogRatioHistogram
from da.verification.statistics import CollectedValues, PairStatistics


def pairs(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    observed = 1e-12 * np.exp(0.4 * rng.standard_normal(n))
    return observed, observed * np.exp(0.2 * rng.standard_normal(n) - 0.1)


@given(probability=st.floats(0.0, 1.0), n=st.integers(1, 300), seed=st.integers(0, 99))
def test_that_quantiles_are_exact_within_half_a_bin(probability: float, n: int, seed: int) -> None:
    observed, modelled = pairs(n, seed)
    histogram = LogRatioHistogram.of(observed, modelled)
    exact = np.quantile(np.log(observed / modelled), probability, method="inverted_cdf")
    # 1e-9 for values that rounding puts on the other side of the edge of a bin.
    assert abs(histogram.quantile(probability) - exact) <= 0.5e-3 + 1e-9


@given(cuts=st.lists(st.integers(0, 200), max_size=6))
def test_that_histograms_of_chunks_add_to_exactly_that_of_all(cuts: list[int]) -> None:
    observed, modelled = pairs(200)
    total = LogRatioHistogram.zero()
    for part in np.split(np.random.default_rng(0).permutation(200), np.sort(cuts)):
        total = total + LogRatioHistogram.of(observed[part], modelled[part])
    np.testing.assert_array_equal(total.counts, LogRatioHistogram.of(observed, modelled).counts)


def test_that_histograms_leave_out_gaps_and_keep_extremes_in_the_last_bins() -> None:
    observed = np.array([np.nan, 1.0, 0.0, 1.0, 1.0, 1.0])
    modelled = np.array([1.0, np.inf, 1.0, -1.0, 1e-9, 1e9])
    histogram = LogRatioHistogram.of(observed, modelled)
    assert histogram.n == 2
    assert histogram.quantile(0.0) == pytest.approx(-5.0 + 5e-4)
    assert histogram.quantile(1.0) == pytest.approx(5.0 - 5e-4)
    assert np.isnan(LogRatioHistogram.zero().quantile(0.5))
    with pytest.raises(ValueError, match="different bins"):
        LogRatioHistogram.zero() + LogRatioHistogram.zero(width=0.01)
    with pytest.raises(ValueError, match="probability"):
        histogram.quantile(1.5)


def test_that_collected_values_give_the_quantiles_of_numpy() -> None:
    values = np.random.default_rng(4).standard_normal(101)
    assert CollectedValues(values).quantile(0.9) == np.quantile(values, 0.9)
    assert np.isnan(CollectedValues.zero().quantile(0.9))


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_that_dask_gives_bitwise_the_result_of_the_serial_reduction(scheduler: str, size: int) -> None:
    observed, modelled = pairs(500)
    spread = 0.1 * modelled

    def statistic(part: slice) -> RowStatistics:
        return RowStatistics.of(observed[part], modelled[part], spread[part])

    chunks = list(slices(500, size))
    serial = map_reduce(statistic, chunks, RowStatistics.zero())
    parallel = map_reduce(statistic, chunks, RowStatistics.zero(), scheduler=scheduler)  # type: ignore[arg-type]
    assert parallel.value() == serial.value()
    np.testing.assert_array_equal(parallel.pairs.comoment, serial.pairs.comoment)
    np.testing.assert_array_equal(parallel.log_ratios.values, serial.log_ratios.values)
    np.testing.assert_array_equal(parallel.distribution.pit, serial.distribution.pit)
    assert parallel.distribution.crps == serial.distribution.crps


def test_that_no_chunk_gives_the_zero_and_impossible_chunks_are_refused() -> None:
    assert map_reduce(lambda _: PairStatistics.zero(), [], PairStatistics.zero(), scheduler="threads").n == 0
    with pytest.raises(ValueError, match="at least one point"):
        list(slices(3, 0))
