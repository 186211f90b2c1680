"""What a state must obey before the model starts from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from model_adapters.tiegcm.constraints import LIMITS, admissible
from model_adapters.tiegcm.history import COMPOSITION
from model_adapters.tiegcm.model_time import Version

FloatArray = NDArray[np.float64]
VERSIONS: tuple[Version, ...] = ("2.0", "3.0")
SHAPE = (6, 3, 4)
ROUNDING = 8 * 2.0**-53
"""Of a sum of three numbers scaled to just below one: half a spacing each for the two additions before, the limit, the
quotient, the products together, the two additions after, and the last difference."""


def _model_state(seed: int = 0) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    oxygen = np.linspace(0.01, 0.8, SHAPE[0])[:, None, None] * rng.uniform(0.9, 1.1, SHAPE)
    helium = np.linspace(1.2e-6, 0.05, SHAPE[0])[:, None, None] * rng.uniform(0.9, 1.1, SHAPE)
    molecular = np.linspace(0.22, 1e-5, SHAPE[0])[:, None, None] * rng.uniform(0.99, 1.01, SHAPE)
    temperature = np.linspace(200.0, 900.0, SHAPE[0])[:, None, None] + rng.uniform(-5.0, 5.0, SHAPE)
    fields = {"TN": temperature, "O1": oxygen, "O2": molecular, "HE": helium}
    fields |= {f"{name}_NM": 0.999 * values for name, values in fields.items()}
    # As in real histories, the time filter leaves electrons somewhat colder than neutrals in places.
    fields |= {"TE": temperature + rng.uniform(-0.3, 500.0, SHAPE), "TI": temperature + rng.uniform(-0.3, 100.0, SHAPE)}
    for name in ("TN", "TN_NM", "TE", "TI"):
        fields[name][-1] = 1e36
    return fields


def _analysed(before: dict[str, FloatArray], seed: int, size: float) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    wanted = {name: values.copy() for name, values in before.items() if name not in ("TE", "TI")}
    for name, values in wanted.items():
        part = values[:-1] if name.startswith("TN") else values
        part *= 1.0 + size * rng.standard_normal(part.shape)
    return wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_that_what_the_analysis_leaves_alone_stays_bit_for_bit_even_beyond_the_limits(version: Version) -> None:
    before = _model_state()
    before["O1"][3] = 1.0
    before["HE"][4] = -1e-3
    before["TN"][2] = 50.0
    before["TN"][-1, 0, 0] = np.nan
    wanted = {name: values.copy() for name, values in before.items() if name not in ("TE", "TI")}
    fields, limited = admissible(version, before, wanted)
    for name, values in before.items():
        assert_array_equal(fields[name], values)
    assert set(limited.values()) == {0}


@pytest.mark.parametrize("version", VERSIONS)
@given(seed=st.integers(0, 1000), size=st.sampled_from([1e-3, 0.1, 1.0, 30.0]))
@settings(max_examples=40)
def test_that_any_analysis_ends_within_the_limits_of_the_version(version: Version, seed: int, size: float) -> None:
    before = _model_state(seed)
    wanted = _analysed(before, seed, size)
    fields, _ = admissible(version, before, wanted)
    limits = LIMITS[version]
    for step in ("", "_NM"):
        assert np.all(fields["TN" + step][:-1] >= 100.0)
        for species in COMPOSITION:
            assert np.all(fields[species + step] >= limits.lowest[species])
        total = np.sum([fields[species + step] for species in COMPOSITION], axis=0)
        assert np.all(1.0 - total >= limits.lowest_n2 - ROUNDING)
    for name in ("TE", "TI"):
        assert np.all(fields[name][:-1] >= fields["TN"][:-1])
        assert_array_equal(fields[name][-1], 1e36)


@pytest.mark.parametrize("version", VERSIONS)
@given(seed=st.integers(0, 1000), size=st.sampled_from([1e-3, 1.0]))
@settings(max_examples=20)
def test_that_a_second_pass_changes_nothing(version: Version, seed: int, size: float) -> None:
    before = _model_state(seed)
    once, _ = admissible(version, before, _analysed(before, seed, size))
    wanted = {name: values for name, values in once.items() if name not in ("TE", "TI")}
    twice, limited = admissible(version, once, wanted)
    for name, values in once.items():
        assert_array_equal(twice[name], values)
    assert set(limited.values()) == {0}


@pytest.mark.parametrize("step", ["", "_NM"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [0.01, 2.0])
def test_that_the_lowest_level_keeps_o_plus_o2_and_helium(version: Version, step: str, size: float) -> None:
    before = _model_state()
    fields, limited = admissible(version, before, _analysed(before, 1, size))
    o_and_o2 = [one["O1" + step][0] + one["O2" + step][0] for one in (fields, before)]
    assert_allclose(o_and_o2[0], o_and_o2[1], rtol=1e-15)
    assert_array_equal(fields["HE" + step][0], before["HE" + step][0])
    assert np.all(fields["O1" + step][0] != before["O1" + step][0])
    names = ", ".join(name + step for name in COMPOSITION)
    # Helium and O2 of every column were changed, and O too where it would have left its limits.
    assert 2 * 12 <= limited[f"lower boundary of {names}"] <= 3 * 12


def test_that_small_increments_of_a_valid_state_pass_unchanged_above_the_lowest_level() -> None:
    before = _model_state()
    wanted = _analysed(before, 2, 1e-3)
    fields, _ = admissible("2.0", before, wanted)
    for name, values in wanted.items():
        assert_array_equal(fields[name][1:], values[1:])
    assert_array_equal(fields["TN"], wanted["TN"])
    assert_array_equal(fields["O1"], wanted["O1"])


def test_that_too_much_of_all_species_is_scaled_down_in_proportion() -> None:
    before = _model_state()
    wanted = {name: values.copy() for name, values in before.items() if name not in ("TE", "TI")}
    wanted["O1"][3, 1, 1], wanted["O2"][3, 1, 1], wanted["HE"][3, 1, 1] = 0.9, 0.45, 0.15
    fields, limited = admissible("2.0", before, wanted)
    cell = [fields[name][3, 1, 1] for name in COMPOSITION]
    assert_allclose(cell, [0.6, 0.3, 0.1], rtol=1e-4)
    assert sum(cell) == pytest.approx(1.0 - 1e-6, abs=ROUNDING)
    assert limited["O1 + O2 + HE <= 1 - 1e-06"] == 1
    assert sum(limited.values()) == 1


def test_that_electrons_and_ions_rise_with_the_neutrals_and_only_there() -> None:
    before = _model_state()
    wanted = {name: values.copy() for name, values in before.items() if name not in ("TE", "TI")}
    wanted["TN"][2, 0, 0] = 3000.0
    fields, limited = admissible("3.0", before, wanted)
    for name in ("TE", "TI"):
        changed = fields[name] != before[name]
        assert np.argwhere(changed).tolist() == [[2, 0, 0]]
        assert fields[name][2, 0, 0] == 3000.0
        assert limited[f"{name} >= TN"] == 1


def test_that_members_may_follow_as_a_last_axis_and_inputs_stay_as_they_are() -> None:
    before = _model_state()
    members = {name: np.stack([values, values], axis=-1) for name, values in before.items()}
    analyses = [_analysed(before, seed, 0.5) for seed in (3, 4)]
    wanted = {name: np.stack([one[name] for one in analyses], axis=-1) for name in analyses[0]}
    copies = {name: values.copy() for name, values in wanted.items()}
    together, _ = admissible("2.0", members, wanted)
    for member, analysis in enumerate(analyses):
        alone, _ = admissible("2.0", before, analysis)
        for name, values in alone.items():
            assert_array_equal(together[name][..., member], values)
    for name, values in copies.items():
        assert_array_equal(wanted[name], values)
