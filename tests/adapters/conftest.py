"""Drivers of a quiet and of a disturbed time, for all adapters."""

from __future__ import annotations

import numpy as np
import pytest

from da.drivers import Drivers, load_drivers


@pytest.fixture(scope="session")
def april_2010() -> Drivers:
    """Drivers of April 2010: quiet until the storm of the 5th."""
    return load_drivers(np.datetime64("2010-03-31"), np.datetime64("2010-04-19"))
