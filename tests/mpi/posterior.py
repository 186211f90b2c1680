"""Program for the tests: cycle a small ensemble on the ranks it is given and save the posterior on rank 0."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from da.analysis import FilterSettings, LocalizedAnalysis
from da.analysis_engine import AnalysisEngine
from da.analysis_observations import SourceLocalization
from da.cycle import MemberForecasts, Schedule, run
from da.distributed_analysis import DistributedAnalysis
from da.filters.coarse_nodes import CoarseNodes
from da.inflation import relax_to_prior_spread
from da.inflation.prior import PriorInflation
from da.interpolated_analysis import InterpolatedAnalysis
from da.localization import Localization, Weighting, block_sub_domains
from da.model import MemberInputs
from da.observations import ObservationBatch, SourceBatch
from da.observing import observe_density
from da.parallel import Communicator, SerialCommunicator, gather_members, share, start_communicator
from da.parameters import ParameterSettings
from da.perturbations import Perturbation, PerturbationModel
from da.seeding import Purpose, streams
from model_adapters.template import TemplateModel, TemplateSettings

MEMBERS = 7
START = np.datetime64("2010-04-05T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")


def observations(time: np.datetime64, after_analysis: bool) -> list[SourceBatch]:
    """Return densities of an isothermal atmosphere, the same on all ranks."""
    if after_analysis:
        return []
    rng = np.random.default_rng(int((time - START) / HOUR))
    n = 200
    altitude_km = rng.uniform(110.0, 500.0, n)
    density = 5e-8 * np.exp(-(altitude_km - 100.0) / 27.0) * rng.uniform(0.8, 1.2, n)
    latitude, longitude = rng.uniform(-85.0, 85.0, n), rng.uniform(-180.0, 180.0, n)
    ratio = np.full(n, 1.01)
    batch = ObservationBatch(density, 0.2 * density, latitude, longitude, altitude_km, time, "test", ratio)
    return [SourceBatch("points", batch)]


def posterior(comm: Communicator, interpolated: bool) -> np.ndarray:
    """Return the last analysis (state_size, MEMBERS), gathered on all ranks; weights interpolated or not."""
    model = TemplateModel(TemplateSettings())
    own = share(MEMBERS, comm.size, comm.rank)
    spread = PerturbationModel({"equilibrium_temperature_k": Perturbation(80.0, 240.0)})
    inputs = MemberInputs(spread.draw(streams(3, Purpose.PERTURBATIONS, own)))
    states = model.initial(START, inputs, streams(3, Purpose.INITIAL_STATE, own))
    localization = SourceLocalization(Localization(3.0, Weighting.GASPARI_COHN, 3.0))
    settings = FilterSettings(
        {"points": localization},
        PriorInflation(forgetting_factor=0.95),
        partial(relax_to_prior_spread, relaxation=0.3),
        parameters={"equilibrium_temperature_k": ParameterSettings(0.5, relaxation=0.9)},
    )
    shape = model.layout.grid.shape
    engine: AnalysisEngine[Any] = DistributedAnalysis(comm, model.layout, block_sub_domains(shape, (3, 3, 3)), MEMBERS)
    if interpolated:
        engine = InterpolatedAnalysis(comm, model.layout, CoarseNodes(shape, 3, periodic=True), MEMBERS)
    observe = partial(observe_density, model)
    analysis = LocalizedAnalysis(comm, model.layout, engine, settings, observe)
    forecasts = MemberForecasts(comm, model, inputs, own.start)
    plan = Schedule(START, START + 3 * HOUR, HOUR, HOUR)
    *_, last = run(forecasts, states, plan, analysis, observations)
    return gather_members(comm, last.states)


def main() -> None:
    """Save the posterior to the file named by the first argument."""
    target = Path(sys.argv[1])
    comm = SerialCommunicator() if "serial" in sys.argv[2:] else start_communicator()
    states = posterior(comm, "interpolated" in sys.argv[2:])
    if comm.rank == 0:
        np.save(target, states)


if __name__ == "__main__":
    main()
