"""Distribution of members and rows, in one process."""

from __future__ import annotations

import numpy as np
import pytest

from da.errors import ThermodaError
from da.parallel import MemberTranspose, SerialCommunicator, collective, from_root, gather_members, launched_size, share


@pytest.mark.parametrize(("items", "size"), [(40, 3), (5, 5), (7, 2), (3, 1)])
def test_that_shares_cover_everything_once_and_evenly(items: int, size: int) -> None:
    shares = [share(items, size, rank) for rank in range(size)]
    assert [item for part in shares for item in part] == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_that_the_transpose_there_and_back_is_the_identity_and_keeps_unowned_rows() -> None:
    states = np.random.default_rng(0).standard_normal((10, 4))
    rows = np.array([7, 2, 3])
    transpose = MemberTranspose(SerialCommunicator(), [rows])
    np.testing.assert_array_equal(transpose.to_rows(states), states[rows])
    changed = states.copy()
    transpose.to_members(transpose.to_rows(states) + 1.0, changed)
    np.testing.assert_array_equal(changed[rows], states[rows] + 1.0)
    others = np.setdiff1d(np.arange(10), rows)
    np.testing.assert_array_equal(changed[others], states[others])


def test_that_gathered_members_of_one_process_are_its_own() -> None:
    np.testing.assert_array_equal(gather_members(SerialCommunicator(), np.eye(3)), np.eye(3))


def test_that_an_error_within_a_phase_is_raised_with_the_phase() -> None:
    with (
        pytest.raises(ThermodaError, match="^forecast to noon: member 3 is lost$"),
        collective(SerialCommunicator(), "forecast to noon"),
    ):
        raise ThermodaError("member 3 is lost")


def test_that_an_error_on_the_root_is_raised() -> None:
    def fail() -> int:
        raise ThermodaError("no such file")

    with pytest.raises(ThermodaError, match="no such file"):
        from_root(SerialCommunicator(), fail)
    assert from_root(SerialCommunicator(), lambda: 5) == 5


def test_that_the_size_told_by_a_launcher_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launched_size() is None
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "6")
    assert launched_size() == 6
