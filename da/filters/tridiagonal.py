r"""Functions of a symmetric positive definite tridiagonal matrix: all that the symmetric square root of a filter needs.

An analysis needs :math:`(I + G)^{-1/2}` and :math:`(I + G)^{-1}` of a Gram matrix G. Householder reflections give
:math:`G = Q\,\mathrm{Tri}\,Q^T` in a sixth of the time of eigenvectors, and the square root of what is left is a short
sum of inverses, because

.. math:: x^{-1/2} = \frac{2}{\pi} \int_0^\infty \frac{dt}{t^2 + x},

which the substitution :math:`t = \mathrm{sc}(u\,|\,1 - 1/\kappa)` turns into the integral of a smooth periodic
function of u for all x in :math:`[1, \kappa]`. The midpoint rule with n points then converges like
:math:`\exp(-2 \pi^2 n / (\ln\kappa + 3))` (Hale, Higham & Trefethen 2008, doi:10.1137/070700607, method 3). Shifts and
coefficients are positive, so that nothing cancels: the sum is as accurate as its terms.

The inverse of a tridiagonal matrix with pivots :math:`\delta_j = d_j - e_j^2/\delta_{j+1}`, eliminated from the last
row upwards, follows column by column from products alone, with :math:`r_j = e_{j-1}/\delta_j`:

.. math:: X_{jj} = 1/\delta_j + r_j^2 X_{j-1,j-1}, \qquad X_{ij} = -r_j X_{i,j-1} \quad (i < j).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.special import ellipj, ellipk

FloatArray = NDArray[np.float64]

QUADRATURE_ERROR = 1e-16
"""Relative error asked of the sum for the inverse square root: below that of its rounding."""


@lru_cache(maxsize=128)
def inverse_root_rule(condition: float) -> tuple[FloatArray, FloatArray]:
    r"""Return shifts s and coefficients c with :math:`x^{-1/2} = \sum_j c_j / (x + s_j)` for x from 1 to ``condition``.

    Examples
    --------
    >>> shift, coefficient = inverse_root_rule(100.0)
    >>> bool(abs(np.sum(coefficient / (9.0 + shift)) - 1.0 / 3.0) < 1e-15)
    True
    """
    if not 1.0 < condition < np.inf:
        raise ValueError(f"the condition number must lie above one, not {condition}")
    points = int(np.ceil(-np.log(QUADRATURE_ERROR) * (np.log(condition) + 3.0) / (2.0 * np.pi**2)))
    parameter = 1.0 - 1.0 / condition
    quarter_period, modulus = ellipk(parameter), np.sqrt(1.0 - parameter)
    # Beyond half of the quarter period cn is the difference of nearly equal numbers; there
    # sc(K - u) = 1 / (k' sc(u)), and dn / cn^2 follows likewise.
    sn, cn, dn, _ = ellipj((np.arange((points + 1) // 2) + 0.5) * quarter_period / points, parameter)
    mirrored = slice(points // 2 - 1, None, -1) if points > 1 else slice(0, 0)
    shift = np.concatenate([(sn / cn) ** 2, (cn / (modulus * sn))[mirrored] ** 2])
    coefficient = np.concatenate([dn / cn**2, (dn / (modulus * sn**2))[mirrored]])
    coefficient *= 2.0 * quarter_period / (np.pi * points)
    shift.flags.writeable = coefficient.flags.writeable = False
    return shift, coefficient


def tridiagonalize(gram: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Return :math:`Q^T` and Tri of Gram matrices :math:`G = Q\,\mathrm{Tri}\,Q^T`.

    Parameters
    ----------
    gram : array (matrices, size, size)
        Symmetric, C order; destroyed.

    Returns
    -------
    rotation : array (matrices, size, size)
        :math:`Q^T`.
    diagonal, off_diagonal : array (size, matrices), (size - 1, matrices)
    """
    matrices, size, _ = gram.shape
    diagonal, off_diagonal = np.empty((size, matrices)), np.empty((size - 1, matrices))
    rotation = np.zeros_like(gram)
    rotation[:, 0, 0] = 1.0
    for number in range(matrices):
        # A C-ordered symmetric matrix is its own Fortran-ordered copy: LAPACK works in place on the transpose.
        reflectors, diagonal[:, number], off_diagonal[:, number], tau, _ = lapack.dsytrd(
            gram[number].T, lower=1, overwrite_a=1
        )
        if size > 1:
            reflection, _, _ = lapack.dorgqr(reflectors[1:, :-1], tau)
            rotation[number, 1:, 1:] = reflection.T
    return rotation, diagonal, off_diagonal


def largest_eigenvalue_bound(diagonal: FloatArray, off_diagonal: FloatArray) -> FloatArray:
    """Return an upper bound (matrices,) of the eigenvalues, by Gershgorin's circles.

    Parameters
    ----------
    diagonal : array (size, matrices)
    off_diagonal : array (size - 1, matrices)
    """
    radius = np.zeros_like(diagonal)
    radius[1:] += np.abs(off_diagonal)
    radius[:-1] += np.abs(off_diagonal)
    return np.asarray((diagonal + radius).max(axis=0))


@dataclass(frozen=True)
class TridiagonalFunctions:
    r"""What an analysis needs of I + Tri, for many matrices at once.

    Parameters
    ----------
    solution : array (matrices, size)
        :math:`(I+\mathrm{Tri})^{-1} b`.
    inverse_diagonal : array (matrices, size)
        Of :math:`(I+\mathrm{Tri})^{-1}`.
    root : array (matrices, size, size)
        F or :math:`(I+\mathrm{Tri})^{-1/2}`, whichever was asked for.
    """

    solution: FloatArray
    inverse_diagonal: FloatArray
    root: FloatArray


def functions_of(
    diagonal: FloatArray, off_diagonal: FloatArray, right_side: FloatArray, condition: float, gap: bool
) -> TridiagonalFunctions:
    r"""Return the functions of tridiagonal matrices.

    Parameters
    ----------
    diagonal : array (size, matrices)
        Of Tri, which is positive semidefinite.
    off_diagonal : array (size - 1, matrices)
    right_side : array (size, matrices)
        b of the solution.
    condition : float
        Upper bound of the eigenvalues of I + Tri, the same for all matrices.
    gap : bool
        Return :math:`F = (1 - (1+x)^{-1/2})/x` of Tri instead of its inverse square root:
        :math:`(I + S^T S)^{-1/2} = I - S^T F(S S^T) S`. As :math:`\sum_j c_j / (1 + s_j) = 1`, it is
        :math:`\sum_j c_j/(1+s_j)\,(\mathrm{Tri} + (1 + s_j) I)^{-1}`, again a sum of positive definite terms.
    """
    if diagonal.shape[1] == 1:
        # One matrix alone would be summed in another order than among others: its last bits shall not depend on that.
        twice = [np.repeat(one, 2, axis=1) for one in (diagonal, off_diagonal, right_side)]
        found = functions_of(twice[0], twice[1], twice[2], condition, gap)
        return TridiagonalFunctions(found.solution[:1], found.inverse_diagonal[:1], found.root[:1])
    shift, coefficient = inverse_root_rule(condition)
    pivot, ratio = _eliminate(diagonal, off_diagonal, np.concatenate([[0.0], shift]))
    solution, inverse_diagonal = right_side.copy(), 1.0 / pivot[:, 0]
    size = diagonal.shape[0]
    for j in range(size - 1, 0, -1):
        solution[j - 1] -= ratio[j, 0] * solution[j]
    solution *= inverse_diagonal
    for j in range(1, size):
        solution[j] -= ratio[j, 0] * solution[j - 1]
        inverse_diagonal[j] += ratio[j, 0] ** 2 * inverse_diagonal[j - 1]
    share = coefficient / (1.0 + shift) if gap else coefficient
    root = _weighted_inverses(pivot[:, 1:], ratio[:, 1:], share[:, None])
    return TridiagonalFunctions(np.ascontiguousarray(solution.T), np.ascontiguousarray(inverse_diagonal.T), root)


def _eliminate(diagonal: FloatArray, off_diagonal: FloatArray, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return pivots and ratios (size, shifts, matrices) of Tri + (1 + shift) I, eliminated from the last row on."""
    pivot = diagonal[:, None, :] + (1.0 + shift)[:, None]
    ratio = np.empty_like(pivot)
    for j in range(diagonal.shape[0] - 1, 0, -1):
        np.divide(off_diagonal[j - 1], pivot[j], out=ratio[j])
        pivot[j - 1] -= off_diagonal[j - 1] * ratio[j]
    return pivot, ratio


def _weighted_inverses(pivot: FloatArray, ratio: FloatArray, share: FloatArray) -> FloatArray:
    """Return the sum over the shifts of share * inverse, (matrices, size, size)."""
    size, _, matrices = pivot.shape
    column = np.empty_like(pivot)
    total = np.empty((size, size, matrices))
    own = share / pivot[0]
    for j in range(size):
        if j > 0:
            column[:j] *= -ratio[j]
            own = share / pivot[j] + ratio[j] ** 2 * own
        column[j] = own
        np.add.reduce(column[: j + 1], axis=1, out=total[j, : j + 1])
        total[: j + 1, j] = total[j, : j + 1]
    return np.ascontiguousarray(total.transpose(2, 0, 1))
