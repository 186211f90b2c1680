"""Settings, environment, allocation and judgement of member runs, without starting any."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from da.errors import ThermodaError
from model_adapters.tiegcm.allocation import allocated_processors, members_at_once
from model_adapters.tiegcm.environment import MARK, member_environment
from model_adapters.tiegcm.launch_outcome import Cause, FileStamp, MemberJob, ends_normally, judge, why_it_ended
from model_adapters.tiegcm.launcher import log_path, run_members
from model_adapters.tiegcm.launcher_settings import LauncherSettings, check_launcher

TIME = np.datetime64("2002-03-22T01:00", "ns")


def _job(folder: Path, member: int = 7, **changes: Any) -> MemberJob:
    return replace(MemberJob(member, folder, "m.inp", "forecast.nc", TIME), **changes)


@pytest.fixture
def executable(tmp_path: Path) -> Path:
    path = tmp_path / "tiegcm"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_that_all_placeholders_are_replaced_and_no_shell_sees_them(tmp_path: Path, executable: Path) -> None:
    command = (
        "srun",
        "-n{ranks}",
        "--job-name=m{member}",
        "-D",
        "{folder}",
        "{executable}",
        "{namelist}",
        "$HOME;{{}}",
    )
    settings = LauncherSettings(command=command, executable=executable, ranks=8)
    made = settings.command_of(_job(tmp_path / "a folder"))
    folder = str(tmp_path / "a folder")
    assert made == ["srun", "-n8", "--job-name=m7", "-D", folder, str(executable), "m.inp", "$HOME;{}"]


@pytest.mark.parametrize("part", ["{rank}", "{ranks.real}", "{ranks!r}", "{member:03d}", "{}", "{ranks"])
def test_that_a_strange_placeholder_is_refused_with_the_known_ones(part: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LauncherSettings(command=("mpirun", part, "{namelist}"))
    assert part in str(caught.value)


def test_that_a_command_without_namelist_and_one_without_its_executable_are_refused() -> None:
    with pytest.raises(ValidationError, match="must hold {namelist}"):
        LauncherSettings(command=("tiegcm",))
    with pytest.raises(ValidationError, match="executable: must name the model"):
        LauncherSettings()
    with pytest.raises(ValidationError, match="no name and value"):
        LauncherSettings(command=("./run.sh", "{namelist}"), environment={"A=B": "1"})
    with pytest.raises(ValidationError, match="Extra inputs"):
        LauncherSettings(command=("./run.sh", "{namelist}"), timeout=3)  # type: ignore[call-arg]


def test_that_the_start_is_refused_where_nothing_can_be_started(tmp_path: Path, executable: Path) -> None:
    plain = ("{executable}", "{namelist}")
    good = LauncherSettings(command=plain, executable=executable)
    check_launcher(good, "2.0")
    dull = tmp_path / "dull"
    dull.write_text("")
    faults = [
        ({"executable": tmp_path / "absent"}, "there is no such file"),
        ({"executable": dull}, "chmod"),
        ({"command": ("no-such-launcher", *plain)}, "no program 'no-such-launcher' on the PATH"),
        ({"data_folder": tmp_path / "absent"}, "is no folder"),
    ]
    for changes, said in faults:
        with pytest.raises(ThermodaError, match=said):
            check_launcher(good.model_copy(update=changes), "2.0")


@pytest.mark.parametrize(
    ("version", "accepted", "refused"), [("2.0", (1, 4, 8, 80), (2, 3, 6, 96)), ("3.0", (1, 2, 4, 6, 9), (3, 5, 7, 13))]
)
def test_that_each_version_has_its_numbers_of_ranks(
    executable: Path, version: Any, accepted: tuple[int, ...], refused: tuple[int, ...]
) -> None:
    settings = LauncherSettings(command=("{executable}", "{namelist}"), executable=executable)
    for ranks in accepted:
        check_launcher(settings.model_copy(update={"ranks": ranks}), version)
    for ranks in refused:
        with pytest.raises(ThermodaError, match=f"launcher.ranks: .* not {ranks}"):
            check_launcher(settings.model_copy(update={"ranks": ranks}), version)


def test_that_the_environment_is_cleaned_of_our_mpi_and_our_slurm_task_and_of_nothing_else() -> None:
    ours = (
        *(
            "OMPI_COMM_WORLD_RANK",
            "OMPI_MCA_ess",
            "PMIX_RANK",
            "PMI_FD",
            "PMI2_RANK",
            "PRTE_LAUNCHED",
            "HYDI_CONTROL_FD",
        ),
        *("MPI_LOCALRANKID", "HYDRA_HOST_FILE", "I_MPI_HYDRA_UUID", "SLURM_PROCID", "SLURM_STEP_ID", "SLURM_STEPID"),
        *("SLURM_CPU_BIND", "SLURM_CPU_BIND_LIST", "SLURM_LAUNCH_NODE_IPADDR"),
    )
    kept = (
        "PATH",
        "HOME",
        "I_MPI_ROOT",
        "MPI_HOME",
        "SLURM_JOB_ID",
        "SLURM_JOB_NODELIST",
        "SLURM_CONF",
        "MPICH_VERSION",
    )
    made = member_environment(dict.fromkeys((*ours, *kept), "x"), {}, None, "mark")
    assert set(made) == {*kept, "LOGNAME", "GFORTRAN_UNBUFFERED_ALL", MARK}
    assert made["GFORTRAN_UNBUFFERED_ALL"] == "1"
    assert made[MARK] == "mark"


def test_that_the_settings_have_the_last_word_in_the_environment(tmp_path: Path) -> None:
    base = {"OMPI_MCA_btl": "self", "LOGNAME": "someone", "TGCMDATA": "/old"}
    made = member_environment(base, {"OMPI_MCA_btl": "tcp", "LOGNAME": "me"}, tmp_path, "mark")
    assert made["OMPI_MCA_btl"] == "tcp"
    assert made["LOGNAME"] == "me"
    assert made["TGCMDATA"] == str(tmp_path)
    assert member_environment(base, {}, None, "mark")["TGCMDATA"] == "/old"


@pytest.mark.parametrize("base", [{"LOGNAME": "", "USER": "someone"}, {"LOGNAME": "someone"}, {"USER": "someone"}])
def test_that_logname_is_set_whatever_the_batch_system_leaves_out(base: dict[str, str]) -> None:
    assert member_environment(base, {}, None, "mark")["LOGNAME"] == "someone"
    assert member_environment({}, {}, None, "mark")["LOGNAME"]


@pytest.mark.parametrize(("text", "processors"), [("16", 16), ("16(x2),8", 40), ("4,4,12(x3)", 44)])
def test_that_the_processors_of_a_slurm_job_are_counted(text: str, processors: int) -> None:
    assert allocated_processors({"SLURM_JOB_CPUS_PER_NODE": text}) == processors


def test_that_members_at_once_never_outgrow_a_slurm_job(executable: Path) -> None:
    job = {"SLURM_JOB_CPUS_PER_NODE": "64"}
    settings = LauncherSettings(command=("{executable}", "{namelist}"), executable=executable, ranks=4)
    for our_ranks, asked, granted in ((1, None, 16), (2, None, 8), (2, 3, 3), (2, 100, 8), (16, None, 1)):
        at_once = members_at_once(settings.model_copy(update={"at_once": asked}), our_ranks, job)
        assert at_once == granted
        assert at_once * our_ranks * settings.ranks <= 64
    with pytest.raises(ThermodaError, match="17 of our ranks .* need 68 processors; the Slurm job has 64"):
        members_at_once(settings, 17, job)
    with pytest.raises(ThermodaError, match="cannot be read"):
        members_at_once(settings, 1, {"SLURM_JOB_CPUS_PER_NODE": "many"})


def test_that_outside_of_slurm_the_settings_alone_say_how_many(executable: Path) -> None:
    settings = LauncherSettings(command=("{executable}", "{namelist}"), executable=executable)
    assert members_at_once(settings, 4, {}) == 1
    assert members_at_once(settings.model_copy(update={"at_once": 5}), 4, {}) == 5


@pytest.mark.parametrize(
    ("lines", "good"),
    [
        (["Step 1", "NORMAL EXIT"], True),
        ([" NORMAL EXIT "], True),
        (["STOP NORMAL EXIT"], True),
        (["[0] NORMAL EXIT", "[1] NORMAL EXIT"], True),
        (["3: NORMAL EXIT"], True),
        (["NORMAL EXIT", "Note: The following floating-point exceptions are signalling: IEEE_UNDERFLOW_FLAG"], True),
        (["NORMAL EXIT", "[WARNING] yaksa: 10 leaked handle pool objects"], True),
        (["ABNORMAL EXIT"], False),
        # Four ranks speak at once, and Open MPI says at its end what it could not use.
        (["NORMAL EXIT", "End execution of tiegcm2.0", "Elapsed dt        =   NORMAL EXIT"], True),
        (["NORMAL EXIT", "[node1:77] 3 more processes have sent help message help-mpi-btl-base.txt"], True),
        (["NORMAL EXIT", "MODEL SHUTDOWN"], False),
        (["NORMAL EXIT", "mpirun noticed that process rank 2 with PID 77 exited on signal 11"], False),
        (["NORMAL EXIT", "BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", "NORMAL EXIT"], False),
        ([" LABEL = 'NORMAL EXIT'", "Step 1"], False),
        ([], False),
    ],
)
def test_that_a_normal_exit_of_any_rank_without_a_fault_after_it_is_one(lines: list[str], good: bool) -> None:
    assert ends_normally(lines) is good


def test_that_the_cause_is_the_first_fatal_line_and_else_the_exit_status() -> None:
    noise = ["Step 3", ">>> stop message: bad field", "MODEL SHUTDOWN", "BAD TERMINATION OF ONE OF YOUR PROCESSES"]
    assert why_it_ended(noise, 0) == ">>> stop message: bad field"
    assert why_it_ended(["Step 3"], 0) == "exit status 0"
    assert why_it_ended(["Step 3"], -9) == "ended by signal 9"


def test_that_a_shutdown_is_told_with_the_reason_that_the_model_gave() -> None:
    lines = [">>> gethost: Cannot get HOST", *(f"line {number}" for number in range(8))]
    lines += [">>> Getfile: could not find file /data/he.nc", ">>>>>>>> MODEL SHUTDOWN <<<<<<<<"]
    stop = "Shutdown: stop message: Getfile: file not found"
    assert why_it_ended([*lines, stop], 0) == f">>> Getfile: could not find file /data/he.nc; {stop}"
    assert why_it_ended([*lines[:-2], lines[-1], stop], 0) == stop


def test_that_a_segmentation_fault_is_told_with_a_limit_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2**23, 2**23))
    for lines, status in ((["Program received signal SIGSEGV"], 139), (["Step 1"], -11)):
        assert "at most 8 MiB: 'ulimit -Hs' should be unlimited" in why_it_ended(lines, status)
    assert "ulimit" not in why_it_ended(["Step 1"], 1)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2**23, resource.RLIM_INFINITY))
    assert why_it_ended(["Step 1"], -11) == "ended by signal 11"


def test_that_the_message_is_one_line_with_member_cycle_folder_cause_and_last_lines(tmp_path: Path) -> None:
    job = _job(tmp_path, attempt=2)
    log = log_path(job)
    log.write_bytes(b"\n".join([b"Step %d" % i for i in range(10)]) + b"\n\xff>>> stop message: oh\n\nMODEL SHUTDOWN\n")
    outcome = judge(job, 0, 12.0, log, FileStamp(), lambda path, time: [])
    assert not outcome.succeeded
    assert outcome.cause is Cause.NO_NORMAL_EXIT
    assert "\n" not in outcome.message
    for part in ("member 7", "2002-03-22T01:00:00", "attempt 2", str(tmp_path), "stop message: oh", "Step 9 | "):
        assert part in outcome.message
    assert outcome.message.endswith("MODEL SHUTDOWN")
    assert log.name in outcome.message


def test_that_an_output_of_an_earlier_run_is_no_success(tmp_path: Path) -> None:
    job = _job(tmp_path)
    job.output_path.write_text("from before")
    log = log_path(job)
    log.write_text("NORMAL EXIT\n")
    before = FileStamp.of(job.output_path)
    assert judge(job, 0, 1.0, log, before, lambda path, time: []).cause is Cause.NO_OUTPUT
    job.output_path.write_text("from this run")
    assert judge(job, 0, 1.0, log, before, lambda path, time: []).succeeded


def test_that_wrong_jobs_are_refused(tmp_path: Path, executable: Path) -> None:
    settings = LauncherSettings(command=("{executable}", "{namelist}"), executable=executable)
    for jobs, at_once, said in (
        ([_job(tmp_path), _job(tmp_path, member=8)], 1, "folder of its own"),
        ([_job(tmp_path, namelist="../m.inp")], 1, "names in its folder"),
        ([_job(tmp_path)], 0, "at_once"),
    ):
        with pytest.raises(ValueError, match=said):
            run_members(jobs, settings, lambda path, time: [], at_once)
