"""Twin experiments: a synthetic truth (the nature run) and the satellites that measure it."""

from da.twin.named_orbits import NAMED_ORBITS, NamedOrbit
from da.twin.orbit import AnalyticOrbit, GeodeticPosition, Orbit
from da.twin.settings import TwinTruthSettings
from da.twin.synthetic_track import synthetic_track
from da.twin.truth import TwinTruth
from da.twin.two_line_orbit import TwoLineOrbit, read_two_line_elements

__all__ = [
    "NAMED_ORBITS",
    "AnalyticOrbit",
    "GeodeticPosition",
    "NamedOrbit",
    "Orbit",
    "TwinTruth",
    "TwinTruthSettings",
    "TwoLineOrbit",
    "read_two_line_elements",
    "synthetic_track",
]
