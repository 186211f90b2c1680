"""Which forgetting factor each sub-domain gets, by the kind of inflation, against the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.inflation import AdaptiveInflationSettings, InflationState
from da.inflation.prior import PriorInflation, PriorInflationKind
from da.localization import LocalObservations

SPREAD = np.array([1.0, 2.0, 3.0, 0.5, 1.0])
INNOVATION = np.array([2.0, -3.0, 0.1, 4.0, 0.2])
ERROR = np.array([1.0, 2.0, 2.0, 0.5, 1.0])
LOCAL = LocalObservations(
    np.array([0, 2, 2, 4, 5, 10]),
    np.array([0, 1, 1, 3, 4, 0, 1, 2, 3, 4]),
    np.array([1.0, 0.1, 0.9, 0.2, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]),
)
"""Five sub-domains; the second sees nothing, the fourth an innovation smaller than its error."""


def _factors(inflation: PriorInflation, state: InflationState | None = None, **changes: np.ndarray) -> np.ndarray:
    vectors = {"innovation": INNOVATION, "forecast_variance": SPREAD, "error_variance": ERROR} | changes
    return inflation.factors(LOCAL, **vectors, state=state)


def test_that_a_fixed_factor_is_that_of_every_sub_domain() -> None:
    assert _factors(PriorInflation()).tolist() == [1.0] * 5
    assert _factors(PriorInflation(forgetting_factor=0.9)).tolist() == [0.9] * 5


def test_that_a_global_factor_is_the_quotient_of_means_over_all_observations() -> None:
    expected = SPREAD.mean() / (np.mean(INNOVATION**2) - ERROR.mean())
    assert 0.0 < expected < 1.0
    factors = _factors(PriorInflation(PriorInflationKind.GLOBAL, 0.97))
    assert_allclose(factors, np.full(5, expected), rtol=1e-14)


def test_that_local_factors_are_quotients_of_means_over_local_observations() -> None:
    factors = _factors(PriorInflation(PriorInflationKind.LOCAL, 0.97))
    expected = [
        (1.0 + 2.0) / (4.0 + 9.0 - 1.0 - 2.0),
        0.97,
        (2.0 + 0.5) / (9.0 + 16.0 - 2.0 - 0.5),
        0.97,
        SPREAD.sum() / (np.sum(INNOVATION**2) - ERROR.sum()),
    ]
    assert_allclose(factors, expected, rtol=1e-14)


@pytest.mark.parametrize("kind", [PriorInflationKind.GLOBAL, PriorInflationKind.LOCAL])
def test_that_innovations_smaller_than_their_errors_give_the_fixed_factor(kind: PriorInflationKind) -> None:
    factors = _factors(PriorInflation(kind, 0.93), innovation=0.1 * ERROR)
    assert factors.tolist() == [0.93] * 5


def test_that_adaptive_factors_divide_by_the_inflation_of_each_sub_domain() -> None:
    state = InflationState(np.array([1.0, 1.25, 2.0, 4.0, 1.6]), np.full(5, 0.4))
    inflation = PriorInflation(PriorInflationKind.ADAPTIVE, adaptive=AdaptiveInflationSettings())
    assert_allclose(_factors(inflation, state), [1.0, 0.8, 0.5, 0.25, 0.625], rtol=1e-15)


def test_that_adaptive_inflation_needs_its_state() -> None:
    inflation = PriorInflation(PriorInflationKind.ADAPTIVE, adaptive=AdaptiveInflationSettings())
    with pytest.raises(ValueError, match="state"):
        _factors(inflation)


@pytest.mark.parametrize("kind", list(PriorInflationKind))
def test_that_every_kind_gives_one_factor_per_sub_domain_also_without_observations(kind: PriorInflationKind) -> None:
    adaptive = AdaptiveInflationSettings() if kind is PriorInflationKind.ADAPTIVE else None
    state = None if adaptive is None else InflationState.initial(3, adaptive)
    nothing = LocalObservations(np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0))
    empty = np.zeros(0)
    factors = PriorInflation(kind, 1.0, adaptive).factors(nothing, empty, empty, empty, state)
    assert_array_equal(factors, np.ones(3))


@pytest.mark.parametrize("kind", list(PriorInflationKind))
def test_that_settings_of_adaptive_inflation_belong_to_it_alone(kind: PriorInflationKind) -> None:
    wrong = None if kind is PriorInflationKind.ADAPTIVE else AdaptiveInflationSettings()
    with pytest.raises(ValueError, match="belong to that kind"):
        PriorInflation(kind, adaptive=wrong)


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan])
def test_that_factors_that_are_not_positive_are_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        PriorInflation(forgetting_factor=factor)
