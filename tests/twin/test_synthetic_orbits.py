"""Orbits of synthetic satellites as the experiment file gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from da.config import read_experiment
from da.errors import ThermodaError
from da.preparation import DATA_VARIABLE, StepOne, prepare
from da.satellite_config import SatelliteSection
from da.twin import NAMED_ORBITS, TwoLineOrbit

FIRST = "1 06251U 62025E   06176.82412014  .00008885  00000-0  12808-3 0  3985"
SECOND = "2 06251  58.0579  54.0425 0030035 139.1568 221.1854 15.56387291  6774"
PERIOD = {"start": "2006-06-26T00:00:00Z", "stop": "2006-06-26T01:00:00Z"}


def satellite(**orbit: object) -> dict[str, object]:
    return {"synthetic": {"altitude_km": None, "inclination_deg": None, "sampling_s": 300} | orbit}


def prepared(path: Path) -> StepOne:
    return prepare(read_experiment(path)[0])


def test_that_a_named_orbit_is_flown(tiny_experiment: Callable[..., Path]) -> None:
    track = prepared(tiny_experiment(satellites={"champ": satellite(orbit="champ_2010")})).tracks["champ"]
    named = NAMED_ORBITS["champ_2010"]
    start, stop = np.datetime64("2010-04-05", "ns"), np.datetime64("2010-04-06", "ns")
    expected = named.orbit(start, stop, "").positions(track.time)
    np.testing.assert_array_equal(track.latitude, expected.latitude)
    np.testing.assert_array_equal(track.longitude, expected.longitude)


@pytest.mark.parametrize("in_file", [False, True])
def test_that_two_line_elements_are_flown_from_the_lines_and_from_a_file(
    tiny_experiment: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_file: bool
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    (tmp_path / "sets.tle").write_text(f"{FIRST}\n{SECOND}\n")
    orbit = {"two_line_elements_file": "sets.tle"} if in_file else {"two_line_elements": [FIRST, SECOND]}
    path = tiny_experiment(experiment=PERIOD, satellites={"champ": satellite(**orbit)})
    track = prepared(path).tracks["champ"]
    expected = TwoLineOrbit(FIRST, SECOND).positions(track.time)
    np.testing.assert_array_equal(track.latitude, expected.latitude)
    np.testing.assert_array_equal(track.altitude_km, expected.altitude_km)


def test_that_the_satellites_of_the_documentation_are_accepted() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "twin.md").read_text(encoding="utf-8")
    shown = YAML(typ="safe").load(page.partition("```yaml\n")[2].partition("```")[0])["satellites"]
    assert {name: SatelliteSection(**section).synthetic is not None for name, section in shown.items()} == {
        "champ": True,
        "grace": True,
    }


def test_that_epochs_far_from_the_run_are_refused_by_their_key(tiny_experiment: Callable[..., Path]) -> None:
    path = tiny_experiment(satellites={"champ": satellite(two_line_elements=[FIRST, SECOND])})
    with pytest.raises(ThermodaError, match="^satellites.champ.synthetic.two_line_elements: the epoch .* 2006-06-25"):
        prepared(path)
    path = tiny_experiment(experiment=PERIOD, satellites={"champ": satellite(orbit="champ_2010")})
    with pytest.raises(ThermodaError, match="^satellites.champ.synthetic.orbit: this orbit of CHAMP holds within 45"):
        prepared(path)
