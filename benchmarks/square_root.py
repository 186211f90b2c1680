"""Two ways to the symmetric square root of an analysis: eigenvectors, and a tridiagonal matrix with a sum of inverses.

    python benchmarks/square_root.py > benchmarks/square_root.txt

Gram matrices G of p observed anomalies of 100 members, white noise and with a decaying spectrum. Timed are
F(G) = (1 - (1 + G)^(-1/2)) / G in the basis that the application wants, per matrix, in batches of 64: by numpy's eigh,
and by ``da.filters.tridiagonal``. The error is the largest entry of M (I + G) M - I with M = I - G F(G), which is
(I + G)^(-1/2), over the condition number: what rounding alone brings is some 1e-16 times the size.
"""

from __future__ import annotations

import argparse

import numpy as np
from analysis import MEMBERS, cpu_seconds
from numpy.typing import NDArray

from da.filters.tridiagonal import functions_of, largest_eigenvalue_bound, tridiagonalize
from da.parallel import limit_blas_threads

FloatArray = NDArray[np.float64]

SIZES, MATRICES = (25, 50, 75, 99), 64
SPECTRA = {"white noise": 0.0, "decaying": 1.0}


def grams(size: int, decay: float) -> FloatArray:
    """Return Gram matrices; member m's part of the anomalies falls like (1 + m)^-decay, the largest is raised."""
    rng = np.random.default_rng(size)
    factor = rng.standard_normal((MATRICES, size, MEMBERS)) * (1.0 + np.arange(MEMBERS)) ** -decay
    factor *= 0.1 if decay == 0.0 else 3.0
    return np.asarray(factor @ factor.transpose(0, 2, 1))


def by_eigenvectors(matrices: FloatArray) -> FloatArray:
    """Return F(G)."""
    values, vectors = np.linalg.eigh(matrices)
    root = np.sqrt(1.0 + np.maximum(values, 0.0))
    return np.asarray((vectors / (root * (1.0 + root))[:, None, :]) @ vectors.transpose(0, 2, 1))


def tridiagonal_parts(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Q^T and F(Tri), as an analysis uses them."""
    rotation, diagonal, off_diagonal = tridiagonalize(matrices.copy())
    condition = max(4.0, 1.0 + float(largest_eigenvalue_bound(diagonal, off_diagonal).max()))
    found = functions_of(diagonal, off_diagonal, np.ones_like(diagonal), condition, gap=True)
    return rotation, found.root


def by_reduction(matrices: FloatArray) -> FloatArray:
    """Return F(G) = Q F(Tri) Q^T."""
    rotation, inner = tridiagonal_parts(matrices)
    return np.asarray(rotation.transpose(0, 2, 1) @ inner @ rotation)


def error(matrices: FloatArray, gap: FloatArray) -> float:
    """Return the largest entry of M (I + G) M - I, over the condition number."""
    unit = np.eye(matrices.shape[1])
    root = unit - matrices @ gap
    residual = root @ (unit + matrices) @ root.transpose(0, 2, 1) - unit
    return float(np.max(np.abs(residual).max(axis=(1, 2)) / np.linalg.norm(unit + matrices, 2, axis=(1, 2))))


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    limit_blas_threads()
    print("spectrum      p   condition   eigh us   reduced us   ratio   error by eigh   error reduced   difference")
    for name, decay in SPECTRA.items():
        for size in SIZES:
            matrices = grams(size, decay)
            condition = float(np.median(np.linalg.cond(np.eye(size) + matrices)))
            times = [
                cpu_seconds(lambda work=work, matrices=matrices: work(matrices)) / MATRICES * 1e6
                for work in (by_eigenvectors, tridiagonal_parts)
            ]
            eigen, reduced = by_eigenvectors(matrices), by_reduction(matrices)
            print(
                f"{name:<12}{size:4d}{condition:12.0f}{times[0]:10.0f}{times[1]:13.0f}{times[0] / times[1]:8.1f}"
                f"{error(matrices, eigen):16.1e}{error(matrices, reduced):16.1e}{np.abs(eigen - reduced).max():13.1e}"
            )


if __name__ == "__main__":
    main()
