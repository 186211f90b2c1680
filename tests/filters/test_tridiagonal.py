"""Functions of tridiagonal matrices against eigenvectors, closed forms and the promised error of the quadrature."""

from __future__ import annotations

import numpy as np
import pytest

from da.filters.tridiagonal import functions_of, inverse_root_rule, largest_eigenvalue_bound, tridiagonalize

EPSILON = np.finfo(float).eps


@pytest.mark.parametrize("condition", [1.0 + 1e-9, 1.5, 4.0, 64.0, 1e4, 1e8, 1e15])
def test_that_the_sum_is_the_inverse_square_root_over_its_whole_interval(condition: float) -> None:
    shift, coefficient = inverse_root_rule(condition)
    assert (np.concatenate([shift, coefficient, np.diff(shift)]) > 0.0).all()
    x = np.geomspace(1.0, condition, 2001)
    total = np.sum(coefficient[:, None] / (x + shift[:, None]), axis=0)
    # Rounding, and the digits that elliptic functions of a parameter near one lose at most (1e8: 3e-14).
    np.testing.assert_allclose(total * np.sqrt(x), 1.0, atol=5e-14)


def test_that_the_number_of_terms_grows_with_the_logarithm_of_the_condition_number() -> None:
    terms = [inverse_root_rule(condition)[0].size for condition in (1e2, 1e4, 1e6)]
    # 18.4 * ln(100) / pi^2 = 8.6 more for every factor of a hundred.
    assert {terms[1] - terms[0], terms[2] - terms[1]} <= {8, 9}


@pytest.mark.parametrize("condition", [1.0, 0.5, np.inf, np.nan])
def test_that_an_impossible_condition_number_is_refused(condition: float) -> None:
    with pytest.raises(ValueError, match="condition number"):
        inverse_root_rule(condition)


def _grams(size: int, rank: int, scale: float) -> np.ndarray:
    factor = np.random.default_rng(size).standard_normal((5, size, rank)) * scale
    return np.asarray(factor @ factor.transpose(0, 2, 1))


def _dense(diagonal: np.ndarray, off_diagonal: np.ndarray) -> np.ndarray:
    return np.diag(diagonal) + np.diag(off_diagonal, 1) + np.diag(off_diagonal, -1)


@pytest.mark.parametrize("size", [1, 2, 3, 17])
def test_that_the_reduction_is_an_orthogonal_similarity(size: int) -> None:
    grams = _grams(size, size + 2, 1.0)
    rotation, diagonal, off_diagonal = tridiagonalize(grams.copy())
    bound = largest_eigenvalue_bound(diagonal, off_diagonal)
    for number, gram in enumerate(grams):
        q = rotation[number].T
        tolerance = 20.0 * size * EPSILON * np.linalg.norm(gram, 2)
        np.testing.assert_allclose(q.T @ q, np.eye(size), atol=20.0 * size * EPSILON)
        np.testing.assert_allclose(q @ _dense(diagonal[:, number], off_diagonal[:, number]) @ q.T, gram, atol=tolerance)
        assert bound[number] >= np.linalg.norm(gram, 2) * (1.0 - 20.0 * size * EPSILON)


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0, 1e3])
@pytest.mark.parametrize(("size", "rank"), [(1, 1), (2, 1), (6, 9), (17, 17), (17, 3)])
def test_that_functions_are_those_of_the_eigenvalues(size: int, rank: int, scale: float) -> None:
    _, diagonal, off_diagonal = tridiagonalize(_grams(size, rank, scale))
    condition = max(4.0, 1.0 + float(largest_eigenvalue_bound(diagonal, off_diagonal).max()))
    right_side = np.random.default_rng(1).standard_normal(diagonal.shape)
    gap = functions_of(diagonal, off_diagonal, right_side, condition, gap=True)
    root = functions_of(diagonal, off_diagonal, right_side, condition, gap=False)
    # A backward error of eps in a matrix of norm kappa moves its smallest eigenvalue, one, by kappa eps.
    tolerance = 50.0 * size * EPSILON * condition
    for number in range(diagonal.shape[1]):
        eigenvalues, vectors = np.linalg.eigh(_dense(diagonal[:, number], off_diagonal[:, number]))
        x = np.maximum(eigenvalues, 0.0)
        y = np.sqrt(1.0 + x)
        np.testing.assert_allclose(root.root[number], (vectors / y) @ vectors.T, atol=tolerance)
        np.testing.assert_allclose(gap.root[number], (vectors / (y * (1.0 + y))) @ vectors.T, atol=tolerance)
        inverse = (vectors / (1.0 + x)) @ vectors.T
        np.testing.assert_allclose(gap.inverse_diagonal[number], np.diag(inverse), atol=tolerance)
        expected = inverse @ right_side[:, number]
        np.testing.assert_allclose(gap.solution[number], expected, atol=tolerance * np.linalg.norm(right_side))


def test_that_a_diagonal_matrix_keeps_its_entries_apart() -> None:
    diagonal = np.array([[3.0], [0.0], [8.0]])
    found = functions_of(diagonal, np.zeros((2, 1)), np.ones((3, 1)), 9.0, gap=False)
    np.testing.assert_allclose(found.root[0], np.diag([0.5, 1.0, 1.0 / 3.0]), atol=1e-15)
    np.testing.assert_allclose(found.solution[0], [0.25, 1.0, 1.0 / 9.0], rtol=1e-15)
