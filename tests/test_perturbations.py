from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from da.errors import ThermodaError
from da.perturbations import Perturbation, PerturbationModel
from da.seeding import Purpose, streams

TABLE = {
    "f107_sfu": Perturbation(8.0, 24.0),
    "hemispheric_power_gw": Perturbation(5.0, 9.0),
    "cross_tail_potential_kv": Perturbation(8.0, 12.0),
}
CORRELATION = 0.9
PAIRED = [("hemispheric_power_gw", "cross_tail_potential_kv", CORRELATION)]


def moments_of_truncated_pair(correlation: float, limits: tuple[float, float]) -> tuple[float, float, float]:
    """Return the standard deviations and the correlation of two standard normals, truncated, by quadrature.

    Limits are in standard deviations before truncation. Sixty nodes a side are exact to many more digits than needed.
    """
    node, weight = np.polynomial.legendre.leggauss(60)
    x, y = limits[0] * node[:, None], limits[1] * node[None, :]
    density = np.exp(-0.5 * (x**2 - 2.0 * correlation * x * y + y**2) / (1.0 - correlation**2))
    mass = weight[:, None] * weight[None, :] * density
    mass /= mass.sum()
    variance_x, variance_y, covariance = (
        float(np.sum(mass * moment)) for moment in (x**2 + 0 * y, y**2 + 0 * x, x * y)
    )
    return variance_x**0.5, variance_y**0.5, covariance / (variance_x * variance_y) ** 0.5


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    return PerturbationModel(TABLE, PAIRED).draw([np.random.default_rng(11)] * 20_000)


def test_that_no_draw_lies_beyond_its_truncation(sample: dict[str, np.ndarray]) -> None:
    for name, one in TABLE.items():
        assert np.abs(sample[name]).max() <= one.truncation
        # Within a hundredth of the limit for those that it really cuts.
        if one.truncation < 2.0 * one.standard_deviation:
            assert np.abs(sample[name]).max() > 0.99 * one.truncation


def test_that_spread_and_correlation_are_those_of_the_truncated_normal(sample: dict[str, np.ndarray]) -> None:
    power, potential = sample["hemispheric_power_gw"], sample["cross_tail_potential_kv"]
    first, second, correlation = moments_of_truncated_pair(CORRELATION, (9.0 / 5.0, 12.0 / 8.0))
    n = power.size
    # Five standard errors: (1 - r^2) / sqrt(n) of a correlation, 1 / sqrt(2 n) of a standard deviation, and less for
    # tails that are cut.
    found = np.corrcoef(power, potential)[0, 1]
    assert found == pytest.approx(correlation, abs=5.0 * (1.0 - correlation**2) / np.sqrt(n))
    assert correlation < CORRELATION - 0.03
    assert power.std() == pytest.approx(5.0 * first, rel=5.0 / np.sqrt(2 * n))
    assert potential.std() == pytest.approx(8.0 * second, rel=5.0 / np.sqrt(2 * n))


def test_that_draws_have_no_mean_and_inputs_that_are_not_paired_do_not_correlate(sample: dict[str, np.ndarray]) -> None:
    n = sample["f107_sfu"].size
    for values in sample.values():
        assert abs(values.mean()) < 5.0 * values.std() / np.sqrt(n)
    for name in PAIRED[0][:2]:
        assert abs(np.corrcoef(sample["f107_sfu"], sample[name])[0, 1]) < 5.0 / np.sqrt(n)


def test_that_the_factor_squared_is_the_covariance_before_truncation() -> None:
    factor = PerturbationModel(TABLE, PAIRED).factor()
    expected = np.diag([64.0, 25.0, 64.0])
    expected[1, 2] = expected[2, 1] = CORRELATION * 5.0 * 8.0
    assert_allclose(factor @ factor.T, expected, rtol=1e-14, atol=1e-14)


def test_that_a_member_has_the_same_draw_whatever_the_ranks_and_the_other_members() -> None:
    model = PerturbationModel(TABLE, PAIRED)
    everyone = model.draw(streams(7, Purpose.PERTURBATIONS, range(10)))
    for ranks in (range(3), range(3, 4), range(4, 10)):
        part = model.draw(streams(7, Purpose.PERTURBATIONS, ranks))
        for name, values in part.items():
            assert_array_equal(values, everyone[name][ranks.start : ranks.stop])


def test_that_another_seed_gives_other_draws() -> None:
    model = PerturbationModel(TABLE, PAIRED)
    one, other = (model.draw(streams(seed, Purpose.PERTURBATIONS, range(5))) for seed in (1, 2))
    assert all(np.all(one[name] != other[name]) for name in TABLE)


def test_that_there_may_be_nothing_to_perturb_and_nobody_to_draw_for() -> None:
    assert PerturbationModel({}).draw([np.random.default_rng(0)]) == {}
    drawn = PerturbationModel(TABLE).draw([])
    assert {name: values.shape for name, values in drawn.items()} == dict.fromkeys(TABLE, (0,))


def test_that_an_input_without_spread_is_never_perturbed() -> None:
    drawn = PerturbationModel({"a": Perturbation(0.0, 1.0), "b": Perturbation(1.0, 3.0)}, [("a", "b", 0.5)]).draw(
        [np.random.default_rng(0)] * 50
    )
    assert_array_equal(drawn["a"], 0.0)
    assert drawn["b"].std() > 0.5


def test_that_correlations_that_contradict_each_other_are_refused() -> None:
    inputs = dict.fromkeys("abc", Perturbation(1.0, 3.0))
    with pytest.raises(ThermodaError, match=r"ensemble\.correlations: they contradict each other"):
        PerturbationModel(inputs, [("a", "b", 0.9), ("b", "c", 0.9), ("a", "c", -0.9)])


@pytest.mark.parametrize("value", [1.0, -1.0, 1.5])
def test_that_a_correlation_of_one_or_more_is_refused(value: float) -> None:
    with pytest.raises(ThermodaError, match="contradict"):
        PerturbationModel(dict.fromkeys("ab", Perturbation(1.0, 3.0)), [("a", "b", value)])


@pytest.mark.parametrize("second", [("a", "b", -0.5), ("b", "a", 0.5), ("a", "b", 0.0)])
def test_that_a_pair_listed_twice_is_refused(second: tuple[str, str, float]) -> None:
    for correlations in ([("a", "b", 0.5), second], [second, ("a", "b", 0.5)]):
        with pytest.raises(ThermodaError, match="'a'.*paired twice|paired twice"):
            PerturbationModel(dict.fromkeys("ab", Perturbation(1.0, 3.0)), correlations)


def test_that_an_unknown_name_or_an_input_paired_with_itself_is_refused() -> None:
    with pytest.raises(ThermodaError, match="'wind' is not among the perturbed inputs"):
        PerturbationModel(TABLE, [("f107_sfu", "wind", 0.5)])
    with pytest.raises(ThermodaError, match="'f107_sfu' is paired with itself"):
        PerturbationModel(TABLE, [("f107_sfu", "f107_sfu", 0.5)])


def test_that_a_truncation_that_no_draw_meets_is_refused() -> None:
    model = PerturbationModel({"f107_sfu": Perturbation(8.0, 1e-9)})
    with pytest.raises(ThermodaError, match="none of 10000 draws lay within all truncations; widen"):
        model.draw([np.random.default_rng(0)])
