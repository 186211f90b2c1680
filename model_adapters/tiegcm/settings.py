"""Section ``model.settings`` of the TIE-GCM adapter."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from model_adapters.tiegcm.launcher_settings import LauncherSettings
from model_adapters.tiegcm.model_time import Version
from model_adapters.tiegcm.namelist_settings import TiegcmNamelistSettings


class TiegcmSettings(BaseModel):
    """Where the model is, what it starts from, and what is kept of its files.

    Relative paths begin at the working directory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    start_up_history: Path = Field(description="Primary history from which all members are made")
    start_up_time: datetime | None = Field(
        None, description="Its record; default: the begin of the spin-up. Another day needs the same time of day"
    )
    version: Version | None = Field(
        None, description="'2.0' or '3.0': of the executable; by default that which wrote the start-up history"
    )
    work_folder: Path = Field(description="Folder of the members' folders, for one run at a time")
    launcher: LauncherSettings
    namelist: TiegcmNamelistSettings = TiegcmNamelistSettings()
    keep_cycles: int = Field(
        2, ge=1, description="Forecasts that can be made again: the histories that they began from stay, older ones go"
    )
    compression: int | None = Field(
        None,
        ge=0,
        le=9,
        description="Keep histories as netCDF-4, deflated this much, without the start's; default: as the model wrote",
    )

    @field_validator("start_up_time")
    @classmethod
    def _is_utc(cls, time: datetime | None) -> datetime | None:
        if time is not None and time.tzinfo is not None:
            offset = time.utcoffset()
            return time.replace(tzinfo=None) - offset if offset is not None else time.replace(tzinfo=None)
        return time

    @property
    def start_up_record(self) -> np.datetime64 | None:
        """Time of the record, where one is named."""
        return None if self.start_up_time is None else np.datetime64(self.start_up_time, "ns")
