"""Twin experiments: a synthetic truth and the satellites that measure it."""

from da.twin.orbit import CircularOrbit, GeodeticPosition
from da.twin.synthetic_track import synthetic_track
from da.twin.truth import TwinTruth, TwinTruthSettings

__all__ = ["CircularOrbit", "GeodeticPosition", "TwinTruth", "TwinTruthSettings", "synthetic_track"]
