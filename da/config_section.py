"""What all sections of the experiment file share: strictness, and the kinds of values that several of them hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from da.yaml_source import key_fault

YEARS = range(1700, 2200)
"""Years whose times datetime64[ns] can hold, with room for margins."""


def _utc(value: Any) -> datetime:
    """Return a time as naive UTC; a time without zone is UTC."""
    form = "must be a time like 2010-04-05T00:00:00Z"
    text = value.isoformat() if isinstance(value, datetime) else value
    if not isinstance(text, str) or len(text) <= len("2010-04-05"):
        raise ValueError(form)
    try:
        time = datetime.fromisoformat(text)
        utc = time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise ValueError(form) from error
    if utc.year not in YEARS:
        raise ValueError(f"the year must lie between {YEARS.start} and {YEARS.stop - 1}")
    return utc


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value):
        raise ValueError("a name begins with a letter and holds letters, digits, '-' and '_' only")
    return value


def _no_truth(value: Any) -> Any:
    """Refuse true and false where a number is due: as numbers they would be 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"must not be {str(value).lower()}")
    return value


Name = Annotated[str, AfterValidator(_name)]
UtcTime = Annotated[datetime, BeforeValidator(_utc)]
PositiveOrInf = Annotated[float, Field(gt=0.0, allow_inf_nan=True)]
Positive = Annotated[float, Field(gt=0.0)]
Fraction = Annotated[float, BeforeValidator(_no_truth), Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A section of the file: immutable; unknown keys, infinities and NaN refused where a field does not allow them."""

    # JSON has no infinity: a half-life of .inf is the text "Infinity" in the provenance.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="strings")

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, content: Any) -> Any:
        for key, value in content.items() if isinstance(content, dict) else ():
            field = cls.model_fields.get(key) if isinstance(key, str) else None
            if isinstance(value, bool) and field is not None and field.annotation is not bool:
                raise key_fault(f"must not be {str(value).lower()}", key)
        return content
