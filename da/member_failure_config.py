"""Section on members whose forecasts fail."""

from __future__ import annotations

from pydantic import Field, model_validator

from da.config_section import Fraction, Positive, Section
from da.member_failure import Afterwards
from da.yaml_source import key_fault


class MemberFailureSection(Section):
    """What is done about a member whose forecast fails: it ends, takes too long, or its state cannot be."""

    retries_with_half_step: int = Field(
        1, ge=0, le=4, description="Further attempts with 1/2, 1/4, ... of the model step, for models that can"
    )
    then: Afterwards = Field(
        Afterwards.REPLACE,
        description="'replace' by a healthy member and a part of the difference of two, 'draw' from the covariance of "
        "the healthy ones, 'drop' for good, or 'stop'",
    )
    difference_factor: float = Field(0.5, gt=0.0, le=2.0, description="That part, for then: replace")
    largest_failing_fraction: Fraction = Field(0.5, description="Where more of the members fail together, the run ends")
    fewest_members: int | None = Field(
        None, ge=2, description="The run ends where fewer would be left, for then: drop; default: half of the members"
    )
    time_limit_s: Positive | None = Field(
        None, description="Wall time of one member's forecast, of models in memory; default: no limit"
    )

    @model_validator(mode="after")
    def _keys_have_a_use(self) -> MemberFailureSection:
        for key, needed in (("difference_factor", Afterwards.REPLACE), ("fewest_members", Afterwards.DROP)):
            if self.then is not needed and getattr(self, key) != MemberFailureSection.model_fields[key].default:
                raise key_fault(f"has no use without then: {needed}; leave it out", key)
        return self
