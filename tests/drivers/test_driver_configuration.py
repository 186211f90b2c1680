"""From the drivers section of an experiment to its drivers: files, spin-up, histories; models that cannot follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da.config import read_experiment
from da.errors import ThermodaError
from da.model import refuse_unused_high_latitude
from da.preparation import experiment_drivers
from model_adapters.registry import find_adapter

AT = np.datetime64
WriteExperiment = Callable[..., Path]


class Understanding:
    """What says that it takes its high-latitude forcing from the drivers, whatever drives them."""

    understands_solar_wind = True


@pytest.fixture
def driven(tiny_experiment: WriteExperiment, data_folder: Path) -> Callable[..., Any]:
    """Return the drivers of the tiny experiment of 5 April 2010 with the solar wind of April and changed keys."""

    def build(spin_up_days: float = 0.0, **keys: object) -> Any:
        section = {
            "high_latitude_source": "solar_wind",
            "solar_wind": [str(data_folder / "drivers" / "omni_imf_2010*.dat")],
            "max_gap_min": 240,
        }
        path = tiny_experiment(drivers=section | keys, ensemble={"spin_up_days": spin_up_days})
        return experiment_drivers(read_experiment(path)[0])

    return build


def test_that_files_named_in_an_experiment_drive_it(driven: Callable[..., Any]) -> None:
    drivers = driven()
    assert drivers.cross_tail_potential_kv(AT("2010-04-05T09:30"))[0] > 100.0
    assert drivers.high_latitude_description()["cross_tail_potential"].startswith("OMNI solar wind")


def test_that_measured_power_alone_needs_no_solar_wind(tiny_experiment: WriteExperiment, data_folder: Path) -> None:
    files = [str(data_folder / "drivers" / "noaa_hemispheric_power_2010.txt")]
    drivers = experiment_drivers(read_experiment(tiny_experiment(drivers={"hemispheric_power": files}))[0])
    assert drivers.solar_wind is None
    assert drivers.high_latitude_description()["hemispheric_power"].startswith("NOAA POES")


def test_that_spin_up_and_history_must_be_covered_unless_left_to_kp(driven: Callable[..., Any]) -> None:
    # The margin of 6 h, 72 h of history and the lag of the response: 2010-04-01T17:10 without spin-up.
    assert driven(spin_up_days=0.7).solar_wind is not None
    with pytest.raises(
        ThermodaError, match="known from 2010-04-01T00:00 to .*; 2010-03-31T17:10.*outside_solar_wind: kp"
    ):
        driven(spin_up_days=1.0)
    drivers = driven(spin_up_days=9.0, outside_solar_wind="kp")
    begin = AT("2010-03-24T00:00")
    kp_alone = drivers.high_latitude(begin).cross_tail_potential_kv
    np.testing.assert_array_equal(drivers.cross_tail_potential_kv(begin), kp_alone[:, 0])
    assert "from 2010-04-01T00:50" in drivers.high_latitude_description()["cross_tail_potential"]


def test_that_a_longer_gap_is_named_with_its_file_and_what_is_allowed(driven: Callable[..., Any]) -> None:
    with pytest.raises(ThermodaError, match=r"omni_imf_20100401_20100430\.dat.*gap of 131 min.*max_gap_min: 60"):
        driven(max_gap_min=60, outside_solar_wind="kp", spin_up_days=2.0)


@pytest.mark.parametrize("key", ["solar_wind", "hemispheric_power"])
def test_that_a_file_that_is_not_there_is_named_with_its_key(driven: Callable[..., Any], key: str) -> None:
    with pytest.raises(ThermodaError, match=rf"drivers\.{key}: there is no file .*nowhere\.dat"):
        driven(**{key: ["nowhere.dat"]})


@pytest.mark.parametrize("name", ["lorenz96", "msis_relaxation", "template"])
def test_that_models_that_follow_kp_alone_refuse_anything_else_by_name(name: str) -> None:
    adapter = find_adapter(name)
    model = adapter.build(adapter.settings())
    refuse_unused_high_latitude(name, model, ())
    for key in ("drivers.high_latitude_source: solar_wind", "drivers.hemispheric_power"):
        with pytest.raises(ThermodaError, match=f"^{key}: model '{name}' .* would ignore it"):
            refuse_unused_high_latitude(name, model, (key,))


def test_that_a_model_that_says_so_is_accepted() -> None:
    refuse_unused_high_latitude("own", Understanding(), ("drivers.hemispheric_power",))  # type: ignore[arg-type]
