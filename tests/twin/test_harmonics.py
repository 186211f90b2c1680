from __future__ import annotations

import numpy as np
import pytest
from scipy.special import lpmv

from da.twin.harmonics import Harmonics

HARMONICS = Harmonics(6)


def test_that_the_functions_are_orthonormal_on_their_grid() -> None:
    grid = HARMONICS.grid()
    np.testing.assert_allclose(grid.value.T @ (grid.weight[:, None] * grid.value), np.eye(49), atol=1e-13)
    assert grid.weight.sum() == pytest.approx(4.0 * np.pi)


def test_that_slopes_obey_greens_identity_with_the_eigenvalues_of_the_laplacian() -> None:
    grid = HARMONICS.grid()
    weight = grid.weight[:, None]
    product = grid.southward_slope.T @ (weight * grid.southward_slope)
    product += grid.eastward_slope.T @ (weight * grid.eastward_slope)
    np.testing.assert_allclose(product, np.diag(HARMONICS.degree * (HARMONICS.degree + 1.0)), atol=1e-11)


def test_that_the_zonal_functions_are_legendre_polynomials() -> None:
    latitude = np.linspace(-90.0, 90.0, 7)
    values = HARMONICS.values(latitude, np.zeros(7))
    for degree in (0, 1, 4):
        expected = np.sqrt((2 * degree + 1) / (4.0 * np.pi)) * lpmv(0, degree, np.sin(np.radians(latitude)))
        np.testing.assert_allclose(values[:, degree * (degree + 1)], expected, atol=1e-14)


def test_that_products_of_three_functions_are_integrated_exactly() -> None:
    fine, grid = Harmonics(12).grid(), HARMONICS.grid()
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 49))
    exact = HARMONICS.values(fine.latitude, fine.longitude)
    expected = np.sum(fine.weight * (exact @ a) * (exact @ b) * (exact @ c))
    assert np.sum(grid.weight * (grid.value @ a) * (grid.value @ b) * (grid.value @ c)) == pytest.approx(expected)


def test_that_places_may_share_coefficients_or_have_their_own() -> None:
    rng = np.random.default_rng(1)
    coefficients = rng.normal(size=(1, 49, 2))
    latitude, longitude = rng.uniform(-90, 90, 20), rng.uniform(-180, 180, 20)
    shared = HARMONICS.synthesis(coefficients, latitude, longitude)
    own = HARMONICS.synthesis(np.repeat(coefficients, 20, axis=0), latitude, longitude)
    np.testing.assert_allclose(shared, own, rtol=1e-12, atol=1e-13)
