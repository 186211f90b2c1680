"""Diagnostics of one analysis: counts of sources, moments of parameters, summaries over sub-domains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from da.filter_record import (
    FilterRecord,
    InnovationDiagnostics,
    ParameterMoments,
    SourceCount,
    count_sources,
    filter_record,
)
from da.observations import ObservationBatch

TIME = np.datetime64("2010-04-05T01:00", "ns")


@pytest.fixture
def record() -> Callable[..., FilterRecord]:
    """Build a record of three sub-domains, the second without observations."""

    def build(**changes: Any) -> FilterRecord:
        fields: dict[str, Any] = {
            "time": TIME,
            "centre": np.arange(9.0).reshape(3, 3),
            "sources": {"grid": SourceCount(3, 0)},
            "local_observations": np.array([2, 0, 1]),
            "degrees_of_freedom": np.array([1.5, 0.0, 0.5]),
            "forgetting_factor": np.array([0.9, 1.0, 0.7]),
            "innovations": InnovationDiagnostics(3.2, 0.8, 0.6, 1.1, 1.2, 0.9),
        }
        return FilterRecord(**fields | changes)

    return build


def test_that_summaries_leave_out_sub_domains_that_were_not_analysed(record: Callable[..., FilterRecord]) -> None:
    one = record()
    summary = one.summary(one.degrees_of_freedom)
    assert (summary.minimum, summary.mean, summary.maximum) == (0.5, 1.0, 1.5)
    assert one.summary(one.forgetting_factor).maximum == 0.9
    assert one.unobserved_sub_domains == 1


def test_that_a_summary_of_no_analysed_sub_domain_is_no_number(record: Callable[..., FilterRecord]) -> None:
    one = record(local_observations=np.zeros(3, dtype=np.int64))
    assert np.isnan(one.summary(one.forgetting_factor).mean)
    assert one.unobserved_sub_domains == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"centre": np.zeros((2, 3))}, r"centres have shape \(2, 3\), expected \(3, 3\)"),
        ({"degrees_of_freedom": np.zeros(2)}, r"degrees_of_freedom has shape \(2,\), expected \(3,\)"),
        ({"forgetting_factor": np.zeros((3, 1))}, r"forgetting_factor has shape \(3, 1\)"),
        ({"inflation_mean": np.ones(3)}, "a mean and a standard deviation, or neither"),
        (
            {"inflation_mean": np.ones(4), "inflation_standard_deviation": np.ones(3)},
            r"inflation_mean has shape \(4,\)",
        ),
    ],
)
def test_that_arrays_of_other_sub_domains_are_refused(
    record: Callable[..., FilterRecord], changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        record(**changes)


def test_that_used_and_refused_add_up_to_the_observations_of_each_source() -> None:
    rng = np.random.default_rng(1)
    labels, sizes = ["grid", "a", "b", "a"], [50, 7, 0, 11]
    used = rng.random(sum(sizes)) < 0.7
    counts = count_sources(labels, sizes, used)
    assert {name: count.used + count.refused for name, count in counts.items()} == {"grid": 50, "a": 18, "b": 0}
    assert sum(count.used for count in counts.values()) == np.count_nonzero(used)
    assert counts["grid"].used == np.count_nonzero(used[:50])


def test_that_flags_of_another_number_of_observations_are_refused() -> None:
    with pytest.raises(ValueError, match="batches of 3 observations, but 2 flags"):
        count_sources(["a"], [3], np.ones(2, dtype=bool))


def test_that_moments_of_a_parameter_are_unbiased() -> None:
    moments = ParameterMoments.of(np.array([1.0, 3.0]), np.array([0.0, 0.0, 3.0]))
    # Variances with n - 1: (1 + 1) / 1 and (1 + 1 + 4) / 2.
    assert moments == ParameterMoments(2.0, np.sqrt(2.0), 1.0, np.sqrt(3.0))


def _innovations(size: int, members: int, seed: int) -> tuple[np.ndarray, ...]:
    """Return values, errors, and HX before and after of observations that span many orders of magnitude."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-13.0, -7.0, size)
    truth = rng.standard_normal(size)
    forecast = truth[:, None] + rng.standard_normal(size)[:, None] + rng.standard_normal((size, members))
    error = np.full(size, 0.5)
    values = truth + error * rng.standard_normal(size)
    gain = 1.0 / (1.0 + 0.25)
    analysis = forecast + gain * (values - forecast.mean(axis=1))[:, None]
    return values * scale, error * scale, forecast * scale[:, None], analysis * scale[:, None]


def test_that_a_consistent_ensemble_is_found_consistent_over_many_orders_of_magnitude() -> None:
    """Spread one, error of the ensemble mean one, observation error one half, and the optimal gain."""
    numbers = InnovationDiagnostics.of(*_innovations(4000, 40, 3))
    # Innovations of variance 1.275 (the mean of 40 members adds 1/40); averages over 4000 of them are good to
    # sqrt(2 / 4000) = 2.2 %. Five standard deviations are 11 %, and the 1/40 stays below 2 %.
    assert numbers.consistency_innovation == pytest.approx(1.0, abs=0.13)
    assert numbers.consistency_forecast == pytest.approx(1.0, abs=0.13)
    assert numbers.consistency_observation == pytest.approx(1.0, abs=0.13)
    assert numbers.spread_error_ratio_total == pytest.approx(numbers.consistency_innovation**-0.5, rel=1e-12)
    # The ensemble holds 1 of the 1.25 of the innovations' variance.
    assert (numbers.spread_error_ratio_ensemble / numbers.spread_error_ratio_total) ** 2 == pytest.approx(0.8, abs=0.02)
    # 4000 independent observations: the spread is shared almost evenly by all 39 directions.
    assert 37.0 < numbers.effective_ensemble_size <= 39.0


def test_that_diagnostics_of_innovations_do_not_depend_on_the_units_of_each_observation() -> None:
    columns = _innovations(50, 10, 4)
    factor = 10.0 ** np.random.default_rng(5).uniform(-8.0, 8.0, 50)
    scaled = [one * (factor if one.ndim == 1 else factor[:, None]) for one in columns]
    # Rounding of sums of 50 terms of order one.
    np.testing.assert_allclose(
        astuple(InnovationDiagnostics.of(*scaled)), astuple(InnovationDiagnostics.of(*columns)), rtol=1e-10
    )


def test_that_without_observations_or_spread_there_are_no_numbers() -> None:
    for size, forecast in ((0, np.zeros((0, 5))), (2, np.ones((2, 5)))):
        numbers = InnovationDiagnostics.of(np.zeros(size), np.ones(size), forecast, forecast)
        assert np.isnan(astuple(numbers)).all()


def test_that_refused_observations_are_counted_but_judge_nothing() -> None:
    values, error, forecast, analysis = _innovations(6, 8, 6)
    batches = [_batch(values[:4], error[:4], "grid"), _batch(values[4:], error[4:], "track")]
    used = np.array([True, True, True, False, True, True])
    arrays = {
        "centre": np.zeros((1, 3)),
        "local_observations": np.array([5]),
        "degrees_of_freedom": np.array([2.0]),
        "forgetting_factor": np.array([0.5]),
    }
    record = filter_record(
        TIME,
        batches,
        forecast,
        analysis,
        used,
        **arrays,
        constraint_hits={"temperature": 2},
        inflation=(np.array([1.5]), np.array([0.6])),
        parameters={"f107_sfu": (np.array([1.0, 3.0]), np.array([2.0, 2.0]))},
    )
    assert record.sources == {"grid": SourceCount(3, 1), "track": SourceCount(2, 0)}
    assert record.innovations == InnovationDiagnostics.of(values[used], error[used], forecast[used], analysis[used])
    assert record.parameters["f107_sfu"] == ParameterMoments(2.0, np.sqrt(2.0), 2.0, 0.0)
    assert (record.time, record.constraint_hits) == (TIME, {"temperature": 2})
    np.testing.assert_array_equal(record.inflation_mean, [1.5])
    np.testing.assert_array_equal(record.inflation_standard_deviation, [0.6])


def _batch(values: np.ndarray, error: np.ndarray, source: str) -> ObservationBatch:
    place = np.zeros(values.size)
    return ObservationBatch(values, error, place, place, place, TIME, source, place + 1.0)
