r"""Error-subspace transform Kalman filter (Nerger et al. 2012, doi:10.1175/MWR-D-11-00102.1).

With N members, p observations, :math:`\Omega` an orthonormal basis (N, N-1) of the vectors that sum to zero,
:math:`L = HX\,\Omega` (p, N-1) and the forgetting factor :math:`\varrho`::

    A^-1 = rho (N-1) I + L^T R^-1 L                                       (N-1, N-1)
    w    = A L^T R^-1 d,     d = y - mean(HX)                             (N-1,)
    Xa   = xbar 1^T + X Omega (w 1^T + sqrt(N-1) A^(1/2) Omega^T)         (state, N)

The symmetric square root makes the result independent of the basis, and since the rows of HX' = HX - mean(HX) sum
to zero, :math:`\Omega L^T = HX'^T`. With the scaled anomalies :math:`S = (\varrho (N-1))^{-1/2} R^{-1/2} HX'` (p, N),
the scaled innovation :math:`b = (\varrho (N-1))^{-1/2} R^{-1/2} d` and :math:`s = \varrho^{-1/2}`, the analysis is one
matrix of the size of the ensemble, whose columns sum to one::

    Xa = X T,   T = 1/N 1 1^T + w 1^T + s [(I + S^T S)^(-1/2) - 1/N 1 1^T]           (N, N)
                w = (I + S^T S)^-1 S^T b

A Gram matrix is reduced to tridiagonal form, G = Q Tri Q^T (:mod:`da.filters.tridiagonal`), the smaller one of two::

    p < N:   G = S S^T,   V = Q^T S (p, N),   (I + S^T S)^(-1/2) = I - V^T F(Tri) V,   w = V^T (I + Tri)^-1 Q^T b
    p >= N:  G = S^T S,   V = Q^T   (N, N),   (I + S^T S)^(-1/2) = V^T (I + Tri)^(-1/2) V,
                                              w = V^T (I + Tri)^-1 Q^T S^T b

with :math:`F(x) = (1 - (1+x)^{-1/2})/x`. The first form costs O(p^2 N + p^3), the second O(p N^2 + N^3). The degrees of
freedom for signal, trace(HK), are :math:`\mathrm{trace}\,G(I+G)^{-1} = \mathrm{trace}(I - (I+\mathrm{Tri})^{-1})`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da.filters.tridiagonal import TridiagonalFunctions, functions_of, largest_eigenvalue_bound, tridiagonalize

FloatArray = NDArray[np.float64]

CONDITION_STEP = 64.0
"""Condition numbers are rounded up to a power of this: fuller groups save more than additional terms cost."""


@dataclass(frozen=True)
class EnsembleTransforms:
    r"""The matrices T of some analyses, in factors.

    .. math:: T = \alpha I + \beta 1 1^T + V^T (K V + g 1^T)

    Parameters
    ----------
    identity : float array (analyses,)
        :math:`\alpha`: s in the first form, zero in the second.
    constant : float array (analyses,)
        :math:`\beta = (1-s)/N`.
    basis : array (analyses, k, members)
        V; k is the smaller of observations and members.
    kernel : array (analyses, k, k)
        K: -s F(Tri) in the first form, s (I + Tri)^(-1/2) in the second.
    mean_weight : array (analyses, k)
        g, with :math:`w = V^T g`.
    degrees_of_freedom : array (analyses,)
        For signal: trace(HK).
    """

    identity: FloatArray
    constant: FloatArray
    basis: FloatArray
    kernel: FloatArray
    mean_weight: FloatArray
    degrees_of_freedom: FloatArray

    def matrices(self) -> FloatArray:
        """Return T (analyses, members, members)."""
        column = (self.mean_weight[:, None, :] @ self.basis)[:, 0] + self.constant[:, None]
        result = self.basis.transpose(0, 2, 1) @ (self.kernel @ self.basis)
        result += column[:, :, None]
        analyses, members = column.shape
        result.reshape(analyses, -1)[:, :: members + 1] += self.identity[:, None]
        return np.asarray(result)

    def __getitem__(self, part: slice) -> EnsembleTransforms:
        """Return some of the transforms."""
        return EnsembleTransforms(
            self.identity[part],
            self.constant[part],
            self.basis[part],
            self.kernel[part],
            self.mean_weight[part],
            self.degrees_of_freedom[part],
        )

    def apply(self, rows: FloatArray) -> FloatArray:
        """Return the analysed rows (analyses, rows, members) of the forecast rows.

        Since the columns of T sum to one, Xa = x + (X - x) T for any x. The first member serves as x: what is
        multiplied is of the size of the spread, so that no digits are lost to a mean that may be a thousand times
        larger. Many rows are multiplied by T, fewer by its factors, whichever takes fewest operations. The result has
        the type of the rows: single precision serves a state whose own numbers are no better.
        """
        first = rows[..., :1]
        departures = rows - first
        members, size, count = rows.shape[-1], self.kernel.shape[-1], rows.shape[-2]
        from_factors = count * size * (2 * members + size)
        from_product = size * members * (size + 2 * count)
        from_matrix = members * (size**2 + size * members + count * members)
        if from_matrix < min(from_factors, from_product):
            result = departures @ self.matrices().astype(rows.dtype, copy=False)
            result += first
            return np.asarray(result)
        basis, kernel, weight, identity, constant = (
            one.astype(rows.dtype, copy=False)
            for one in (self.basis, self.kernel, self.mean_weight[:, :, None], self.identity, self.constant)
        )
        inner = departures @ basis.transpose(0, 2, 1)
        if from_product < from_factors:
            product = kernel @ basis
            product += weight
            result = inner @ product
        else:
            result = (inner @ kernel) @ basis
            result += inner @ weight
        result += rows
        if (identity != 1.0).any():
            result += constant[:, None, None] * departures.sum(axis=-1, keepdims=True)
            departures *= (identity - 1.0)[:, None, None]
            result += departures
        return np.asarray(result)


def ensemble_transforms(block: FloatArray, forgetting_factor: FloatArray) -> EnsembleTransforms:
    r"""Return the transforms of some analyses with equally many observations.

    Parameters
    ----------
    block : array (analyses, observations, members + 1)
        :math:`R^{-1/2} [HX', d]`, R^-1 multiplied (once) by the localization weights; overwritten.
    forgetting_factor : array (analyses,)
        Below one it inflates the prior covariance by its inverse.
    """
    observations, members = block.shape[1], block.shape[2] - 1
    block *= (1.0 / np.sqrt(forgetting_factor * (members - 1)))[:, None, None]
    scale = 1.0 / np.sqrt(forgetting_factor)
    if observations < members:
        anomalies = block[:, :, :members]
        rotation, diagonal, off_diagonal = tridiagonalize(anomalies @ anomalies.transpose(0, 2, 1))
        rotated = rotation @ block
        basis, right_side = rotated[:, :, :members], rotated[:, :, members]
        identity, sign = scale, -scale
    else:
        gram, projected = _member_grams(block)
        basis, diagonal, off_diagonal = tridiagonalize(gram)
        right_side = (basis @ projected[:, :, None])[:, :, 0]
        identity, sign = np.zeros_like(scale), scale
    found = _functions(diagonal, off_diagonal, right_side.T, gap=observations < members)
    freedom = np.sum(1.0 - found.inverse_diagonal, axis=1)
    kernel = found.root
    kernel *= sign[:, None, None]
    return EnsembleTransforms(identity, (1.0 - scale) / members, basis, kernel, found.solution, freedom)


def _member_grams(block: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return S^T S and S^T b."""
    analyses, _, columns = block.shape
    product = np.empty((analyses, columns, columns))
    for one, square in zip(block, product, strict=True):
        # The product of a matrix and its own transpose takes half the operations.
        np.matmul(one.T, one, out=square)
    members = columns - 1
    return np.ascontiguousarray(product[:, :members, :members]), product[:, :members, members]


def _functions(
    diagonal: FloatArray, off_diagonal: FloatArray, right_side: FloatArray, gap: bool
) -> TridiagonalFunctions:
    """Evaluate in groups of like condition number, rounded up to a power; what is not finite stays so.

    A result thus depends on its own matrix alone, not on the company in which it was computed.
    """
    bound = 1.0 + largest_eigenvalue_bound(diagonal, off_diagonal)
    exponent = np.ceil(np.log(np.maximum(bound, CONDITION_STEP)) / np.log(CONDITION_STEP))
    levels = np.unique(exponent[np.isfinite(exponent)])
    if levels.size == 1 and np.isfinite(exponent).all():
        return functions_of(diagonal, off_diagonal, right_side, float(CONDITION_STEP ** levels[0]), gap)
    size, matrices = diagonal.shape
    whole = TridiagonalFunctions(
        np.full((matrices, size), np.nan), np.full((matrices, size), np.nan), np.full((matrices, size, size), np.nan)
    )
    for level in levels:
        part = np.flatnonzero(exponent == level)
        condition = float(CONDITION_STEP**level)
        found = functions_of(diagonal[:, part], off_diagonal[:, part], right_side[:, part], condition, gap)
        for name in ("solution", "inverse_diagonal", "root"):
            getattr(whole, name)[part] = getattr(found, name)
    return whole


def scaled_block(observed_anomalies: FloatArray, innovation: FloatArray, inverse_variance: FloatArray) -> FloatArray:
    """Return R^-1/2 [HX', d] (observations, members + 1).

    Parameters
    ----------
    observed_anomalies : array (observations, members)
        HX minus its mean over the members.
    innovation, inverse_variance : array (observations,)
        d = y - mean(HX), and the diagonal of R^-1.

    Raises
    ------
    ValueError
        If shapes disagree, or a variance is not finite or negative.
    """
    observations, members = observed_anomalies.shape
    if members < 2:
        raise ValueError(f"an ensemble needs at least 2 members, not {members}")
    if innovation.shape != (observations,) or inverse_variance.shape != (observations,):
        raise ValueError(
            f"innovation {innovation.shape} and inverse variance {inverse_variance.shape} "
            f"must have shape ({observations},)"
        )
    if not (np.isfinite(inverse_variance).all() and (inverse_variance >= 0.0).all()):
        raise ValueError("inverse observation error variances must be finite and not negative")
    block = np.empty((observations, members + 1))
    block[:, :members], block[:, members] = observed_anomalies, innovation
    block *= np.sqrt(inverse_variance)[:, None]
    return block


def analyse(
    ensemble: FloatArray,
    observed_ensemble: FloatArray,
    values: FloatArray,
    variance: FloatArray,
    forgetting_factor: float = 1.0,
) -> FloatArray:
    """Return the global analysis (rows, members) of an ensemble.

    Parameters
    ----------
    ensemble : array (rows, members)
        Forecast; not changed.
    observed_ensemble : array (observations, members)
        HX.
    values, variance : array (observations,)
        Observations and their error variances.
    forgetting_factor : float
        Below one it inflates the prior covariance by its inverse.

    Raises
    ------
    ValueError
        If shapes disagree, a number is not finite, a variance or the forgetting factor is not positive.

    Examples
    --------
    An observation of the first of two variables, as exact as the ensemble, halves the distance to it:

    >>> forecast = np.array([[-1.0, 1.0], [-2.0, 2.0]])
    >>> analysis = analyse(forecast, forecast[:1], np.array([1.0]), np.array([2.0]))
    >>> analysis.mean(axis=1)
    array([0.5, 1. ])
    """
    if not forgetting_factor > 0.0:
        raise ValueError(f"the forgetting factor must be positive, not {forgetting_factor}")
    mean = observed_ensemble.mean(axis=1)
    block = scaled_block(observed_ensemble - mean[:, None], values - mean, 1.0 / variance)
    if not np.isfinite(block).all():
        raise ValueError("observed anomalies or innovation are not finite")
    transform = ensemble_transforms(block[None], np.array([forgetting_factor]))
    return np.asarray(transform.apply(ensemble[None])[0])
