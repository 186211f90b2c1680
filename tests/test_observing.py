"""The observation operator of a model, in density and in its logarithm."""

from __future__ import annotations

import numpy as np
import pytest

from da.errors import ThermodaError
from da.model import MemberInputs
from da.observations import ObservationBatch
from da.observing import observe_density
from model_adapters.template import TemplateModel, TemplateSettings

TIME = np.datetime64("2010-04-05T00:00", "ns")
MODEL = TemplateModel(TemplateSettings())


def ensemble() -> tuple[np.ndarray, np.ndarray]:
    inputs = MemberInputs({"equilibrium_temperature_k": np.array([-50.0, 0.0, 60.0])})
    states = MODEL.initial(TIME, inputs, [np.random.default_rng(seed) for seed in range(3)])
    return states, MODEL.height(states, TIME, inputs)


def observations(**changes: object) -> ObservationBatch:
    n = 40
    rng = np.random.default_rng(2)
    density = rng.uniform(1e-12, 1e-11, n)
    columns = {
        "values": density,
        "error_standard_deviation": 0.1 * density,
        "latitude": rng.uniform(-90.0, 90.0, n),
        "longitude": rng.uniform(-180.0, 180.0, n),
        "altitude_km": rng.uniform(150.0, 500.0, n),
        "unmodelled_mass_ratio": rng.uniform(1.0, 1.03, n),
    }
    return ObservationBatch(**(columns | {"time": TIME, "source": "a test"} | changes))  # type: ignore[arg-type]


def test_that_the_observed_logarithm_is_the_logarithm_of_the_observed_density() -> None:
    states, height = ensemble()
    batch = observations()
    density = observe_density(MODEL, states, height, batch)
    np.testing.assert_array_equal(observe_density(MODEL, states, height, batch.in_ln_density()), np.log(density))
    assert density.shape == (40, 3)


@pytest.mark.parametrize("temperature", [-500.0, 0.0])
def test_that_a_state_without_a_positive_density_is_told_by_place_where_logarithms_are_taken(
    temperature: float,
) -> None:
    states, height = ensemble()
    start = MODEL.layout.names.index("temperature") * MODEL.layout.grid.cells
    spoiled = states.copy()
    spoiled[start : start + MODEL.layout.grid.cells, 1] = temperature
    batch = observations().in_ln_density()
    with pytest.raises(ThermodaError) as told:
        observe_density(MODEL, spoiled, height, batch)
    message = str(told.value)
    assert "2010-04-05T00:00" in message
    assert f"latitude {batch.latitude[0]:.2f}" in message
    assert "logarithm" in message
    assert "\n" not in message


def test_that_another_operator_is_refused_by_name() -> None:
    states, height = ensemble()
    with pytest.raises(ValueError, match="no observation operator 'temperature'"):
        observe_density(MODEL, states, height, observations(operator="temperature"))
