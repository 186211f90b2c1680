"""TIE-GCM as a model of the ensemble: states in and out of its histories, forecasts as jobs in folders of the members.

What TIE-GCM needs and the state does not hold (winds, ions, minor species) stays in each member's history. A forecast
writes the state into a copy of the history of its start, runs the executable, and reads the state from the history of
its end; both histories stay, so that it can be made again. An ensemble begins with copies of one start-up history, and
becomes one by its perturbed inputs: ``python -m da spinup``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da.checksums import file_checksum
from da.constants import TIEGCM_REFERENCE_PRESSURE
from da.errors import MemberForecastError, ThermodaError
from da.model import ForecastModel, MemberInputs, StateLayout
from model_adapters.tiegcm.bottom_heights import BottomHeights
from model_adapters.tiegcm.heights import state_height
from model_adapters.tiegcm.history import HistoryHeader, read_header
from model_adapters.tiegcm.inputs import parts_of_period, perturbable_inputs, reason_against
from model_adapters.tiegcm.launcher_settings import check_launcher
from model_adapters.tiegcm.lower_boundary import given_files
from model_adapters.tiegcm.member_folders import MemberFolder, MemberFolders, copied, shared
from model_adapters.tiegcm.member_runs import MemberRuns, MemberStart
from model_adapters.tiegcm.model_time import Version
from model_adapters.tiegcm.namelist_settings import HeelisInputs, PotentialModel
from model_adapters.tiegcm.settings import TiegcmSettings
from model_adapters.tiegcm.state import layout_of, read_state, write_state

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class _Place:
    """Where a member of an ensemble lives, and its number."""

    number: int
    folder: MemberFolder


class Tiegcm:
    """TIE-GCM 2.0 or 3.0, told apart by its start-up history.

    Parameters
    ----------
    settings : TiegcmSettings
    step_divisor : int
        Divides the model step, for another attempt.

    Raises
    ------
    ThermodaError
        If the start-up history, the executable, the launcher or a file of the lower boundary is not there or does not
        fit.
    """

    reference_pressure = TIEGCM_REFERENCE_PRESSURE

    def __init__(self, settings: TiegcmSettings, step_divisor: int = 1) -> None:
        self._settings = settings
        try:
            self._start_up: HistoryHeader = read_header(settings.start_up_history)
        except ThermodaError as error:
            raise ThermodaError(f"model.settings.start_up_history: {error}") from error
        self._version: Version = settings.version or self._start_up.version
        try:
            check_launcher(settings.launcher, self._version)
        except ThermodaError as error:
            raise ThermodaError(f"model.settings.{error}") from error
        self.layout: StateLayout = layout_of(self._start_up)
        self._folders = MemberFolders(settings.work_folder)
        self._bottoms = BottomHeights()
        self._held: list[np.datetime64] = []
        # A history says with which step it was made: after a shorter one, that would be the step from then on.
        self._step_s = settings.namelist.step_s or self._start_up.step_s
        boundary = settings.namelist.lower_boundary.with_data_folder(settings.launcher.data_folder)
        self._boundary_files = given_files(boundary)
        self._runs = MemberRuns(
            settings.launcher,
            settings.namelist.model_copy(update={"step_s": self._step_s // step_divisor, "lower_boundary": boundary}),
            self._version,
            self.layout,
            settings.compression,
            attempt=step_divisor.bit_length(),
        )

    @property
    def perturbable_inputs(self) -> tuple[str, ...]:
        """Inputs whose perturbation can act; those of the solar wind need drivers that hold it."""
        return perturbable_inputs(self._settings.namelist, solar_wind=True)

    @property
    def understands_solar_wind(self) -> bool:
        """Whether the namelist takes what the drivers make of the solar wind."""
        namelist = self._settings.namelist
        heelis = namelist.potential_model is PotentialModel.HEELIS
        constant = namelist.power_gw is not None and namelist.cross_tail_potential_kv is not None
        return not heelis or (namelist.heelis_inputs is HeelisInputs.POWER_AND_POTENTIAL and not constant)

    @property
    def files_read(self) -> Sequence[Path]:
        """Start-up history, executable and files of the lower boundary."""
        executable = self._settings.launcher.executable
        first = [self._settings.start_up_history, *([] if executable is None else [executable])]
        return [*first, *self._boundary_files.values()]

    def reason_against(self, name: str) -> str:
        """Return why an input cannot be perturbed with these settings, empty where it can."""
        return reason_against(self._settings.namelist, name, solar_wind=True)

    def with_step_divided(self, divisor: int) -> ForecastModel | None:
        """Return the same model with a shorter step; None where that is no whole number of seconds."""
        if self._step_s % divisor:
            return None
        finer = Tiegcm(self._settings, divisor)
        finer.hold(self._held)
        return finer

    def initial(self, time: np.datetime64, inputs: MemberInputs, rngs: Sequence[np.random.Generator]) -> FloatArray:
        """Return members (state_size, members) that are all the start-up history; each has a copy of its own.

        Histories that members of these numbers had in this ensemble are removed.

        Raises
        ------
        ThermodaError
            If the start-up history has no record for ``time``.
        """
        inputs.required_drivers()
        self._refuse_wrong_lengths(inputs, len(rngs))
        if self._settings.start_up_time is None and time not in self._start_up.times:
            held = ", ".join(str(np.datetime_as_string(one, unit="s")) for one in self._start_up.times[-4:])
            raise ThermodaError(
                f"model.settings.start_up_history: {self._start_up.path} has no history of the begin, "
                f"{np.datetime_as_string(time, unit='s')}; its last are {held}: change experiment.start or "
                "ensemble.spin_up_days, or name one of the same time of day by model.settings.start_up_time"
            )
        record = self._record(self._settings.start_up_history, time)
        state = read_state(self._settings.start_up_history, record, self.layout)
        for place in self._places(inputs, len(rngs)):
            place.folder.make()
            place.folder.clear()
            copied(self._settings.start_up_history, place.folder.history(time))
        return np.repeat(state[:, None], len(rngs), axis=1)

    def forecast(
        self, states: FloatArray, start: np.datetime64, stop: np.datetime64, inputs: MemberInputs
    ) -> FloatArray:
        """Return the states at ``stop``, from each member's history at ``start`` with its state in it.

        Periods over a turn of the year are run in parts, as the model cannot pass it.

        Raises
        ------
        MemberForecastError
            If runs of some members failed.
        ThermodaError
            If members have no history of ``start``, their jobs cannot be prepared, or another run has the folder.
        ValueError
            If ``stop`` comes before ``start``.
        """
        if stop < start:
            raise ValueError(f"stop {stop} comes before start {start}")
        members = states.shape[1]
        self._refuse_wrong_lengths(inputs, members)
        drivers = inputs.required_drivers()
        if stop == start:
            return states.copy()
        places = self._places(inputs, members)
        causes: dict[int, str] = {}
        with self._of_one_run(inputs, members):
            for number, (first, last) in enumerate(parts_of_period(start, stop)):
                left = [position for position in range(members) if position not in causes]
                starts = [
                    self._start(places[position], first, inputs, position, None if number else states[:, position])
                    for position in left
                ]
                outcomes = self._runs.run(starts, first, last, drivers, inputs.processes)
                pairs = zip(left, outcomes, strict=True)
                causes |= {position: outcome.message for position, outcome in pairs if not outcome.succeeded}
        for position, place in enumerate(places):
            if position not in causes:
                place.folder.keep_latest(self._settings.keep_cycles, stop, [start, *self._held])
        return self._read(places, stop, causes)

    def height(self, states: FloatArray, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return heights [m] of the mid-levels, (levels, latitudes, longitudes, members), over each member's bottom.

        The height of the lowest interface is that of the member's history, tides and its own offset included; an
        analysis does not change it.
        """
        bottom = np.empty((*self.layout.grid.shape[1:], states.shape[1]))
        for position, place in enumerate(self._places(inputs, states.shape[1])):
            path = place.folder.required_history(time)
            bottom[..., position] = self._bottoms.of(path, self._record(path, time))
        return state_height(self._version, states, self.layout, bottom)

    def claim(self, ensemble: str, description: Mapping[str, Any]) -> None:
        """Note what an ensemble is made from; ThermodaError where its folder was made from something else.

        Also where another run is at work in the folder.
        """
        settings = self._settings.model_dump(mode="json", include={"start_up_time", "version"})
        namelist = self._settings.namelist.model_dump(mode="json")
        own = {"start_up_history (SHA-256)": file_checksum(self._settings.start_up_history), **settings}
        own |= {f"namelist.{key}": value for key, value in namelist.items()}
        with self._folders.of_one_run():
            made_from = {f"model.settings.{key}": one for key, one in own.items()}
            self._folders.claim(ensemble, {**description, **made_from})

    def begin(self, time: np.datetime64, inputs: MemberInputs, source: str) -> None:
        """Let members of an ensemble begin with the histories that those of ``source`` have at ``time``."""
        if source == inputs.ensemble:
            raise ValueError(f"the ensemble '{source}' cannot begin with itself")
        numbers = self._numbers(inputs)
        with self._of_one_run(inputs, len(numbers)):
            for number in numbers:
                folder = self._folders.member(inputs.ensemble, number)
                history = self._folders.member(source, number).required_history(time)
                folder.make()
                folder.clear()
                shared(history, folder.history(time))

    def stored(self, time: np.datetime64, inputs: MemberInputs) -> BoolArray:
        """Return which members (members,) have a history of ``time``."""
        folders = [self._folders.member(inputs.ensemble, number) for number in self._numbers(inputs)]
        return np.array([folder.history(time).is_file() for folder in folders], dtype=bool)

    def restored(self, time: np.datetime64, inputs: MemberInputs) -> FloatArray:
        """Return the states (state_size, members) of the histories of ``time``."""
        return self._read(self._places(inputs, len(self._numbers(inputs))), time, {})

    def adopt(self, state: FloatArray, time: np.datetime64, ensemble: str, source: int, member: int) -> FloatArray:
        """Make the history of a member at ``time`` from that of another one, with a state (state_size,) in it."""
        folder = self._folders.member(ensemble, member)
        folder.make()
        history = self._folders.member(ensemble, source).required_history(time)
        record = self._record(history, time)
        # What a link would share is replaced, not written to.
        return write_state(history, record, state, self.layout, folder.history(time)).state

    def hold(self, times: Sequence[np.datetime64]) -> None:
        """Keep the histories of these times, whatever ``keep_cycles`` says; replaces what was held before."""
        self._held = list(times)

    def discard(self, ensemble: str) -> None:
        """Remove the folders of an ensemble."""
        self._folders.discard(ensemble)

    def _of_one_run(self, inputs: MemberInputs, members: int) -> AbstractContextManager[None]:
        """Keep other runs out; of the processes of a run, the one with the lowest member does so for all of them."""
        return self._folders.of_one_run() if inputs.lowest in inputs.member_numbers(members) else nullcontext()

    def _start(
        self, place: _Place, start: np.datetime64, inputs: MemberInputs, position: int, state: FloatArray | None
    ) -> MemberStart:
        history = place.folder.required_history(start)
        offsets = {name: float(values[position]) for name, values in inputs.perturbations.items()}
        record = self._record(history, start)
        return MemberStart(place.number, place.folder, history, record, state, offsets)

    def _read(self, places: Sequence[_Place], time: np.datetime64, causes: Mapping[int, str]) -> FloatArray:
        """Return the states of the histories of a time; MemberForecastError with the others where there are causes."""
        states = np.full((self.layout.state_size, len(places)), np.nan)
        for position, place in enumerate(places):
            if position not in causes:
                path = place.folder.required_history(time)
                states[:, position] = read_state(path, self._record(path, time), self.layout)
        if causes:
            raise MemberForecastError(causes, states)
        return states

    def _record(self, history: Path, time: np.datetime64) -> np.datetime64:
        """Return the time of the record that stands for ``time``: its own, or that of a start-up history."""
        named = self._settings.start_up_record
        if named is None:
            return time
        header = read_header(history)
        if time in header.times:
            return time
        if (time - named) % DAY != np.timedelta64(0):
            raise ThermodaError(
                f"model.settings.start_up_time: {named} must have the time of day of the begin, {time}: "
                "TIE-GCM starts from a history of another day, but not of another hour"
            )
        return named

    def _places(self, inputs: MemberInputs, members: int) -> list[_Place]:
        numbers = inputs.member_numbers(members).tolist()
        return [_Place(number, self._folders.member(inputs.ensemble, number)) for number in numbers]

    def _numbers(self, inputs: MemberInputs) -> list[int]:
        if inputs.numbers is None:
            raise ValueError("the inputs must hold the numbers of the members")
        return [int(number) for number in inputs.numbers]

    def _refuse_wrong_lengths(self, inputs: MemberInputs, members: int) -> None:
        for name in inputs.perturbations:
            inputs.perturbation(name, members)
