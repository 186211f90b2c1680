"""The sections of the experiment file that say how the filter works, and every combination of keys that it refuses.

Lengths are in cells of the state grid with ``metric: index`` and in km with ``metric: great_circle``; the unit is in
every key. Only one of the two sets of keys is accepted, so that no radius is read in the wrong unit.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from enum import StrEnum
from math import sqrt
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from da.config_section import Fraction, Name, Positive, PositiveOrInf, Section
from da.direct_tracks import LONGEST_SUPEROBBING_S
from da.errors import ThermodaError
from da.localization import SubDomainShape, Weighting
from da.model import PREVIOUS
from da.yaml_source import key_fault

INFINITY = float("inf")
WHOLE_HAS_NONE = "has no meaning for sub_domain: whole; leave it out"

RADIUS_OF_WEIGHTING = {"gaspari_cohn": "support_radius", "exponential": "decay_radius"}
"""The length that a weighting needs, and that no other one may have; the unit of the metric follows its name."""

RADII = ("cutoff_radius", "vertical_cutoff_radius", "support_radius", "decay_radius", "error_correlation_radius")


class DistanceMetric(StrEnum):
    """How far an observation is from the centre of a sub-domain."""

    INDEX = "index"
    """Root of the sum of squares in cells of the state grid."""
    GREAT_CIRCLE = "great_circle"
    """Along the great circle and in height; sees across the poles."""

    @property
    def unit(self) -> str:
        """Last part of the keys of radii."""
        return "cells" if self is DistanceMetric.INDEX else "km"


class AnalysisVariable(StrEnum):
    """In which variable observations and their counterparts are compared."""

    DENSITY = "density"
    LN_DENSITY = "ln_density"


class _LocalitySection(Section):
    """Which observations are local and with which weight: the keys, and the checks of those with a meaning."""

    metric: DistanceMetric = Field(
        DistanceMetric.INDEX, description="'index' (radii in cells) or 'great_circle' (radii in km)"
    )
    weighting: Weighting = Field(description="'gaspari_cohn', 'exponential' or 'uniform'")
    regulated: bool = Field(
        False, description="Weights that give a single observation the same gain as tapering B (Nerger et al. 2012)"
    )
    cutoff_radius_cells: Positive | None = Field(None, description="Observations up to this distance are local")
    vertical_cutoff_radius_cells: PositiveOrInf | None = Field(
        None, description="Level difference that counts like cutoff_radius_cells; default: the same; .inf: none"
    )
    support_radius_cells: Positive | None = Field(None, description="Distance at which the weight is exactly zero")
    decay_radius_cells: Positive | None = Field(None, description="Distance at which the exponential weight is 1/e")
    error_correlation_radius_cells: Positive | None = Field(
        None,
        description="Distance from which on errors are uncorrelated; R grows with the observations nearer than that",
    )
    cutoff_radius_km: Positive | None = Field(None, description="As cutoff_radius_cells, along the great circle")
    vertical_cutoff_radius_km: PositiveOrInf | None = Field(
        None, description="Height difference that counts like cutoff_radius_km; .inf: height does not count"
    )
    vertical_cutoff_radius_scale_heights: PositiveOrInf | None = Field(
        None, description="The same in scale heights (levels of zp = ln(p0/p)), instead of km"
    )
    support_radius_km: Positive | None = Field(None, description="As support_radius_cells")
    decay_radius_km: Positive | None = Field(None, description="As decay_radius_cells")
    error_correlation_radius_km: Positive | None = Field(None, description="As error_correlation_radius_cells")

    @property
    def cutoff_radius(self) -> float | None:
        """Cut-off in the unit of the metric."""
        return self._radius("cutoff_radius")

    @property
    def support_radius(self) -> float | None:
        """Support radius in the unit of the metric."""
        return self._radius("support_radius")

    @property
    def decay_radius(self) -> float | None:
        """Decay radius in the unit of the metric."""
        return self._radius("decay_radius")

    @property
    def error_correlation_radius(self) -> float | None:
        """Radius within which errors count as one, in the unit of the metric."""
        return self._radius("error_correlation_radius")

    def _radius(self, name: str) -> float | None:
        value: float | None = getattr(self, f"{name}_{self.metric.unit}")
        return value

    @property
    def vertical_cutoff_key(self) -> str:
        """Key of the vertical cut-off in use."""
        if self.vertical_cutoff_radius_scale_heights is not None:
            return "vertical_cutoff_radius_scale_heights"
        return f"vertical_cutoff_radius_{self.metric.unit}"

    @property
    def levels_count(self) -> bool:
        """Whether the distance depends on the vertical."""
        return bool(getattr(self, self.vertical_cutoff_key) != INFINITY)

    def _refuse_the_other_unit(self) -> None:
        other = next(one for one in DistanceMetric if one is not self.metric)
        for radius in RADII:
            if getattr(self, f"{radius}_{other.unit}") is not None:
                right = f"{radius}_{self.metric.unit}"
                raise key_fault(
                    f"belongs to metric: {other}; with metric: {self.metric} give {right}", f"{radius}_{other.unit}"
                )
        if self.metric is DistanceMetric.INDEX and self.vertical_cutoff_radius_scale_heights is not None:
            raise key_fault(
                "belongs to metric: great_circle; with metric: index give vertical_cutoff_radius_cells",
                "vertical_cutoff_radius_scale_heights",
            )

    def _check_weights(self) -> None:
        for weighting, radius in RADIUS_OF_WEIGHTING.items():
            if (self.weighting == weighting) != (self._radius(radius) is not None):
                raise key_fault(f"belongs to weighting: {weighting}, and to it alone", f"{radius}_{self.metric.unit}")
        if self.regulated and self.weighting is Weighting.UNIFORM:
            raise key_fault("changes nothing for weighting: uniform; leave it out or choose another one", "regulated")

    def _check_vertical(self) -> None:
        if self.metric is DistanceMetric.INDEX:
            return
        km, scale_heights = self.vertical_cutoff_radius_km, self.vertical_cutoff_radius_scale_heights
        if km is None and scale_heights is None:
            raise key_fault(
                "is required with metric: great_circle, or vertical_cutoff_radius_scale_heights instead; "
                ".inf: height does not count",
                "vertical_cutoff_radius_km",
            )
        if km is not None and scale_heights is not None:
            raise key_fault(
                "says the same as vertical_cutoff_radius_km; leave one of them out",
                "vertical_cutoff_radius_scale_heights",
            )


class LocalizationSection(_LocalitySection):
    """Sub-domains, and which observations each of them uses."""

    sub_domain: SubDomainShape = Field(
        SubDomainShape.BLOCK, description="'block', 'column' or 'whole' (no localization)"
    )
    block_cells: int = Field(3, ge=1, description="Cells per side of a sub-domain; of columns: in the horizontal")
    weight_interpolation_cells: int | None = Field(
        None, ge=1, description="Weights are computed at every so many cells and interpolated to single cells between"
    )

    @model_validator(mode="after")
    def _consistent(self) -> LocalizationSection:
        self._refuse_the_other_unit()
        self._check_weights()
        whole = self.sub_domain is SubDomainShape.WHOLE
        if whole != (self.cutoff_radius is None):
            raise key_fault(
                "is required, except for sub_domain: whole, which has none", f"cutoff_radius_{self.metric.unit}"
            )
        if whole:
            self._check_whole()
        else:
            self._check_vertical()
        self._check_shape()
        return self

    def _check_whole(self) -> None:
        if self.weighting is not Weighting.UNIFORM:
            raise key_fault("must be uniform for sub_domain: whole", "weighting")
        if "block_cells" in self.model_fields_set:
            raise key_fault(WHOLE_HAS_NONE, "block_cells")
        if self.metric is not DistanceMetric.INDEX:
            raise key_fault(WHOLE_HAS_NONE, "metric")
        for key in ("vertical_cutoff_radius_cells", "error_correlation_radius_cells", "weight_interpolation_cells"):
            if getattr(self, key) is not None:
                raise key_fault(WHOLE_HAS_NONE, key)

    def _check_shape(self) -> None:
        if self.sub_domain is SubDomainShape.COLUMN and self.levels_count:
            raise key_fault(
                "must be .inf for sub_domain: column, whose levels share one analysis", self.vertical_cutoff_key
            )
        if self.weight_interpolation_cells is not None and (
            self.sub_domain is not SubDomainShape.BLOCK or self.block_cells != 1
        ):
            raise key_fault(
                "interpolates to single cells: it needs sub_domain: block with block_cells: 1",
                "weight_interpolation_cells",
            )


class TrackLocalizationSection(_LocalitySection):
    """Which observations of a direct track each sub-domain uses; the sub-domains are those of the analysis."""

    @model_validator(mode="after")
    def _consistent(self) -> TrackLocalizationSection:
        self._refuse_the_other_unit()
        self._check_weights()
        if self.cutoff_radius is None:
            raise key_fault("this key is required", f"cutoff_radius_{self.metric.unit}")
        self._check_vertical()
        return self


class RelaxationSection(Section):
    """Relaxation of the analysis spread towards the forecast's."""

    method: Literal["rtps", "rtpp"]
    factor: float = Field(ge=0.0, le=1.0)


class AdaptiveInflationSection(Section):
    """Inflation of the forecast that learns its size from the innovations, per sub-domain (Anderson 2009)."""

    initial: Positive = Field(1.0, description="Factor of the prior variance at the start")
    standard_deviation: Positive = Field(0.6, description="Its standard deviation at the start")
    minimum_standard_deviation: Positive = Field(0.1, description="The standard deviation never falls below it")
    lower: float = Field(0.9, gt=0.0, le=1.0, description="Smallest factor")
    upper: float = Field(10.0, ge=1.0, description="Largest factor")
    damping: Fraction = Field(
        0.99, description="What remains of (factor - 1) from one analysis to the next; 1: all of it"
    )
    restart_file: Path | None = Field(
        None, description="filter.nc of an earlier run, whose last state replaces initial and standard_deviation"
    )

    @model_validator(mode="after")
    def _in_order(self) -> AdaptiveInflationSection:
        if not self.lower <= self.initial <= self.upper:
            raise key_fault(f"must lie between lower ({self.lower:g}) and upper ({self.upper:g})", "initial")
        if self.standard_deviation < self.minimum_standard_deviation:
            raise key_fault(
                f"must not be below minimum_standard_deviation ({self.minimum_standard_deviation:g})",
                "standard_deviation",
            )
        # Beyond this the posterior density of the inflation may have two modes.
        if self.standard_deviation >= sqrt(2.0) * self.lower:
            raise key_fault(
                f"must be less than sqrt(2) times lower ({sqrt(2.0) * self.lower:.3g})", "standard_deviation"
            )
        return self


class AdditiveInflationSection(Section):
    """Perturbations from a file, added to the members after each analysis without changing their mean."""

    file: Path = Field(description="netCDF file of the perturbations, on the state grid")
    factor: Positive = Field(1.0, description="They are multiplied by it")


class InnovationCheckSection(Section):
    """Observations too far from the forecast are left out."""

    threshold: Positive = Field(description="Largest |innovation| in units of sqrt(HPH^T + R)")


class ParameterSection(Section):
    """A perturbed input that is estimated with the state."""

    mean_damping: Fraction = Field(0.1, description="Factor of the increment of its ensemble mean; 1: undamped")
    observation_weight: float = Field(1.0, gt=0.0, le=1.0, description="Factor of R^-1 in its analysis")
    altitude_min_km: float | None = Field(None, ge=0.0, description="Observations below it are not used for it")
    altitude_max_km: Positive | None = Field(None, description="Observations above it are not used for it")
    relaxation: Fraction = Field(
        1.0, description="How far its spread is brought back to that before the analysis; 1: it stays as drawn"
    )

    @model_validator(mode="after")
    def _in_order(self) -> ParameterSection:
        low, high = self.altitude_min_km, self.altitude_max_km
        if low is not None and high is not None and high <= low:
            raise key_fault("must be above altitude_min_km", "altitude_max_km")
        return self


class AnalysisSection(Section):
    """Step two: the filter."""

    interval_h: Positive = 1.0
    variable: AnalysisVariable = Field(AnalysisVariable.DENSITY, description="'density' or 'ln_density'")
    localization: LocalizationSection
    update_fraction: dict[str, Fraction] = Field(
        default_factory=dict, description="Part of the increment that a field of the state gets; default: all of it"
    )
    forgetting_factor: float = Field(1.0, gt=0.0, le=1.0, description="Below one inflates the prior covariance")
    adaptive_forgetting: Literal["global", "local"] | None = Field(
        None, description="Forgetting factor from the innovations; forgetting_factor is used where they give none"
    )
    adaptive_inflation: AdaptiveInflationSection | None = None
    relaxation: RelaxationSection | None = None
    additive_inflation: AdditiveInflationSection | None = None
    innovation_check: InnovationCheckSection | None = None
    parameters: dict[str, ParameterSection] = Field(
        default_factory=dict, description="Perturbed inputs that are estimated with the state"
    )

    @model_validator(mode="after")
    def _consistent(self) -> AnalysisSection:
        if self.adaptive_inflation is not None:
            if self.adaptive_forgetting is not None:
                raise key_fault("excludes adaptive_inflation: leave one of them out", "adaptive_forgetting")
            if self.forgetting_factor != 1.0:
                raise key_fault(
                    "must be 1 with adaptive_inflation, which inflates the same covariance", "forgetting_factor"
                )
        for name in self.update_fraction:
            if name.endswith(PREVIOUS):
                field = name.removesuffix(PREVIOUS)
                raise key_fault(f"follows its field; give the fraction of {field}", "update_fraction", name)
        return self


class DirectTrackSection(Section):
    """Measured densities of a satellite that are assimilated as they are (one step)."""

    satellite: Name = Field(description="One of satellites")
    window_min: Positive = Field(description="An analysis assimilates the densities of this long before it")
    relative_error: float = Field(gt=0.0, le=1.0, description="Standard deviation of a density over its value")
    leave_out_outliers: bool = Field(
        False,
        description="Leave out what calibration.quality finds; true features of the size of a minute may be among",
    )
    thinning_s: Positive | None = Field(None, description="Shortest time between densities that are used")
    superobbing_s: float | None = Field(
        None, gt=0.0, le=LONGEST_SUPEROBBING_S, description="Densities of so many seconds are averaged to one"
    )
    error_correlation_time_s: float | None = Field(
        None, ge=0.0, description="Of the errors that superobbing averages; default: fully correlated"
    )
    localization: TrackLocalizationSection | None = Field(None, description="Default: that of the analysis")

    @model_validator(mode="after")
    def _consistent(self) -> DirectTrackSection:
        if self.thinning_s is not None and self.superobbing_s is not None:
            raise key_fault("excludes thinning_s: leave one of them out", "superobbing_s")
        for key in ("thinning_s", "superobbing_s"):
            length = getattr(self, key)
            if length is not None and length > 60.0 * self.window_min:
                raise key_fault(f"must not be longer than window_min ({self.window_min:g} min)", key)
        if self.error_correlation_time_s is not None and self.superobbing_s is None:
            raise key_fault("belongs to superobbing_s, whose averages it concerns", "error_correlation_time_s")
        return self


def refuse_unknown_update_fractions(section: AnalysisSection, field_names: Sequence[str]) -> None:
    """Raise ThermodaError for a fraction of a field that the state of the model does not have.

    Parameters
    ----------
    section : AnalysisSection
    field_names : sequence of str
        Of the state's layout, twins at the previous step included.
    """
    fields = [name for name in field_names if not name.endswith(PREVIOUS)]
    for name in section.update_fraction:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(fields)}"
            raise ThermodaError(f"analysis.update_fraction: the state has no field '{name}'; {hint}")
