"""What a restart point belongs to: configuration, input files, code. With another one it would not be the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from da.config import Experiment
from da.errors import ThermodaError
from da.input_checksums import changed_inputs, code_checksum, input_checksums
from da.key_figures import configuration_items
from da.model import ForecastModel
from da.provenance import source_commit, versions

SHOWN = 4


@dataclass(frozen=True)
class RunDescription:
    """What decides the results of a run.

    Parameters
    ----------
    configuration : dict
        Resolved, by dotted key.
    inputs : dict of key -> dict of path -> SHA-256
        All files that are read.
    code : dict
        Commit, checksum of the source, and versions of packages.
    files : dict of path -> SHA-256
        Of the experiment: its own file, and what it inherits.
    """

    configuration: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, str]]
    code: Mapping[str, str]
    files: Mapping[str, str]

    @classmethod
    def of(cls, experiment: Experiment, model: ForecastModel, files: Mapping[str, str]) -> RunDescription:
        """Return the description of a run; ThermodaError where an input file cannot be read."""
        code = {"commit": source_commit(), "source": code_checksum(), **versions()}
        return cls(configuration_items(experiment), input_checksums(experiment, model), code, files)

    def content(self) -> dict[str, Any]:
        """Return what is stored: the description, and a checksum of the configuration."""
        return asdict(self) | {"configuration_sha256": self.configuration_checksum}

    @property
    def configuration_checksum(self) -> str:
        """SHA-256 of the resolved configuration."""
        return hashlib.sha256(json.dumps(dict(self.configuration), sort_keys=True).encode()).hexdigest()

    def refuse_other(self, stored: Mapping[str, Any], where: str) -> list[str]:
        """Return what differs in the code, a phrase each, where the rest is the same.

        Parameters
        ----------
        stored : dict
            As :meth:`content` gave it.
        where : str
            For messages.

        Raises
        ------
        ThermodaError
            If configuration or input files differ, with the differences.
        """
        differing = _differences(stored["configuration"], self.configuration)
        differing += changed_inputs(stored["inputs"], self.inputs)
        if differing:
            more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
            raise ThermodaError(
                f"{where}: was written by another run than this one: {'; '.join(differing[:SHOWN])}{more}; "
                "restore what it was, or begin anew with python -m da run --overwrite"
            )
        return _differences(stored["code"], self.code)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = [key for key in dict.fromkeys((*before, *now)) if before.get(key) != now.get(key)]
    return [f"{key} was {before.get(key, 'not given')} and is {now.get(key, 'not given')}" for key in keys]
