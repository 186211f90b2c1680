r"""Additive inflation: perturbations from a supplied set, added to the analysis without moving its mean.

.. math:: x_i \leftarrow x_i + \alpha (s_{k(i)} - \overline{s})

with sample k(i) of the set for member i and the mean over the drawn samples (Mitchell & Houtekamer 2000,
doi:10.1175/1520-0493(2000)128<0416:AAEKF>2.0.CO;2 for noise from a distribution; Whitaker & Hamill 2012,
doi:10.1175/MWR-D-11-00276.1 for samples of a set). The expected covariance grows by :math:`\alpha^2` times
that of the set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


def draw_sample_numbers(rng: np.random.Generator, sample_count: int, members: int) -> IndexArray:
    """Return which sample of the set each member receives.

    The draw depends on the state of ``rng`` and the two sizes alone: processes with equal generators agree.

    Parameters
    ----------
    rng : Generator
    sample_count : int
        Size of the set.
    members : int
        Size of the whole ensemble.

    Returns
    -------
    array (members,)
        Numbers below ``sample_count``, all different where the set is large enough; otherwise every sample is drawn
        equally often, but for a difference of one.

    Raises
    ------
    ValueError
        If the set has fewer than two samples or the ensemble fewer than two members.

    Examples
    --------
    >>> sorted(draw_sample_numbers(np.random.default_rng(1), 3, 7).tolist())[::2]
    [0, 1, 1, 2]
    """
    if sample_count < 2 or members < 2:
        raise ValueError(f"{sample_count} samples for {members} members: at least two of each are needed")
    rounds, rest = divmod(members, sample_count)
    numbers = np.tile(np.arange(sample_count), rounds)
    numbers = np.concatenate([numbers, rng.choice(sample_count, size=rest, replace=False)])
    return np.asarray(rng.permutation(numbers), dtype=np.int64)


def add_centred_perturbations(
    ensemble: FloatArray, samples: FloatArray, sample_mean: FloatArray, factor: float
) -> FloatArray:
    """Return members with factor * (sample - mean of the drawn samples) added.

    Parameters
    ----------
    ensemble : array (rows, members)
        All members, or some of them.
    samples : array (rows, members)
        The sample drawn for each of these members.
    sample_mean : array (rows,)
        Mean of the drawn samples over **all** members of the ensemble, so that its mean stays.
    factor : float
        Not negative.

    Raises
    ------
    ValueError
        If shapes do not fit or the factor is negative or not finite.
    """
    if samples.shape != ensemble.shape or sample_mean.shape != ensemble.shape[:1]:
        raise ValueError(
            f"samples {samples.shape} and their mean {sample_mean.shape} do not fit members {ensemble.shape}"
        )
    if not (np.isfinite(factor) and factor >= 0.0):
        raise ValueError(f"the factor of additive inflation must be finite and not negative, not {factor}")
    return np.asarray(ensemble + factor * (samples - sample_mean[:, None]))
