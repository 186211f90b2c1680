from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from da.errors import ThermodaError
from da.observations import ObservationBatch

COLUMNS = ("values", "error_standard_deviation", "latitude", "longitude", "altitude_km", "unmodelled_mass_ratio")


def batch(**changes: Any) -> ObservationBatch:
    columns = {name: np.array([1.0, 2.0, 3.0]) for name in COLUMNS}
    return ObservationBatch(
        **(columns | {"time": np.datetime64("2010-04-05T12:00", "ns"), "source": "a test"} | changes)
    )


def test_that_the_length_of_a_batch_is_its_number_of_values() -> None:
    assert len(batch()) == 3
    assert len(batch(**dict.fromkeys(COLUMNS, np.array([])))) == 0


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "values"])
def test_that_a_column_of_another_length_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} has shape \(2,\), expected \(3,\)"):
        batch(**{name: np.array([1.0, 2.0])})


def test_that_values_in_a_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        batch(values=np.ones((3, 1)))


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_that_a_value_that_is_not_finite_is_refused_with_its_place_and_source(name: str, bad: float) -> None:
    with pytest.raises(ThermodaError, match=rf"2010-04-05T12.* from a test: {name}\[1\] is {bad}"):
        batch(**{name: np.array([1.0, bad, 3.0])})


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_that_an_error_that_is_not_positive_is_refused(bad: float) -> None:
    with pytest.raises(ThermodaError, match="errors must be positive"):
        batch(error_standard_deviation=np.array([1.0, bad, 3.0]))
