"""Adapters by name. One line registers a model; the configuration's ``model.adapter`` looks it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from da.errors import ThermodaError
from da.model import ForecastModel
from model_adapters import lorenz96, msis_relaxation, nature, template
from model_adapters.column_physics import adapter as column_physics
from model_adapters.tiegcm import adapter as tiegcm
from model_adapters.tiegcm import settings as tiegcm_settings


@dataclass(frozen=True)
class Adapter:
    """A model that the configuration can name.

    Parameters
    ----------
    settings : type
        The pydantic class of its section ``model.settings``.
    build : callable
        ``build(settings)`` returns the model.
    """

    settings: type[BaseModel]
    build: Callable[[Any], ForecastModel]


ADAPTERS: dict[str, Adapter] = {
    "column_physics": Adapter(column_physics.ColumnPhysicsSettings, column_physics.ColumnPhysics),
    "lorenz96": Adapter(lorenz96.Lorenz96Settings, lorenz96.Lorenz96),
    "msis_relaxation": Adapter(msis_relaxation.MsisRelaxationSettings, msis_relaxation.MsisRelaxation),
    "nature": Adapter(nature.NatureSettings, nature.Nature),
    "tiegcm": Adapter(tiegcm_settings.TiegcmSettings, tiegcm.Tiegcm),
    "template": Adapter(template.TemplateSettings, template.TemplateModel),
}


def find_adapter(name: str) -> Adapter:
    """Return the adapter called ``name``; ThermodaError lists the known ones where there is none."""
    if name not in ADAPTERS:
        raise ThermodaError(f"there is no '{name}'; registered are {', '.join(sorted(ADAPTERS))}")
    return ADAPTERS[name]
