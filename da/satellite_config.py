"""Section of the experiment file about one satellite's densities: where they are from, and what each of them is."""

from __future__ import annotations

from pydantic import Field, model_validator

from da.analysis_config import DirectTrackSection
from da.config_section import Section
from da.twin_config import SyntheticSatellite
from da.yaml_source import key_fault


class SatelliteSection(Section):
    """Densities along one satellite: from files, or synthetic."""

    files: tuple[str, ...] = Field((), description="Files or glob patterns; relative ones in THERMODA_DATA if set")
    synthetic: SyntheticSatellite | None = None
    smoothing_min: float = Field(
        0.0,
        ge=0.0,
        le=60.0,
        description="Each density is a running mean over so many minutes of flight (of GNSS-derived ones: 15 to 20); "
        "all that is compared with it is averaged alike",
    )

    @model_validator(mode="after")
    def _one_source(self) -> SatelliteSection:
        if bool(self.files) == (self.synthetic is not None):
            raise ValueError("give either 'files' or 'synthetic'")
        return self


def refuse_overlapping_means(name: str, track: DirectTrackSection, satellite: SatelliteSection) -> None:
    """Raise the fault of a direct track whose densities share records of their running means.

    What two densities share, they do not measure twice; R is diagonal. Averages of them would have a wider window than
    the observation operator gives them.

    Parameters
    ----------
    name : str
        Of the direct track.
    track : DirectTrackSection
    satellite : SatelliteSection
        Whose densities these are.
    """
    if satellite.smoothing_min == 0.0:
        return
    key = ["direct_tracks", name]
    mean = (
        f"each density of '{track.satellite}' is a mean over {satellite.smoothing_min:g} min already "
        f"(satellites.{track.satellite}.smoothing_min)"
    )
    least = f"set thinning_s to at least {60.0 * satellite.smoothing_min:g}"
    if track.superobbing_s is not None:
        raise key_fault(f"{mean}; leave it out, and {least}", *key, "superobbing_s")
    if track.thinning_s is None:
        raise key_fault(f"{mean}; {least}", *key)
    if track.thinning_s < 60.0 * satellite.smoothing_min:
        raise key_fault(f"{mean}; {least}", *key, "thinning_s")
