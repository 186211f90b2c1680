r"""Low-pass filter of the scale factors: Butterworth, of either zero phase or causal.

The digital Butterworth filter of order n (bilinear transform) has the amplitude

.. math:: (1 + (\tan \pi f \Delta t / \tan \pi f_d \Delta t)^{2n})^{-1/2}

(Oppenheim & Schafer 2010, Discrete-Time Signal Processing, Sec. 7.3). Run forward and backward its amplitude is
squared, which alone would leave one half at the design frequency f_d; f_d is therefore raised so that both forms have
the amplitude :math:`1/\sqrt 2` at the cut-off.

The zero-phase form uses a few hours of *future* data: it is for reanalysis only. The causal form delays what it passes;
at low frequencies by :math:`1/(2 \pi f_c \sin(\pi/2n))`, 75 min for order 4 and a cut-off of 3 h.

The ends of the zero-phase form are padded evenly. SciPy's default, odd padding, reflects the series through its last
value and so takes over that one value's noise in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from da.errors import ThermodaError

FloatArray = NDArray[np.float64]

PADDING_PERIODS = 3.0
"""Length of the even padding in cut-off periods; up to order 4 the impulse response has faded to 3e-4 of its peak."""


class FilterKind(StrEnum):
    """Which data a filtered value depends on."""

    ZERO_PHASE = "zero_phase"
    """Past and future alike: for reanalysis."""
    CAUSAL = "causal"
    """The past alone. Outliers and gaps are still judged from both sides, and interpolated ap looks 1.5 h ahead."""


@dataclass(frozen=True)
class LowPass:
    """A low-pass filter for series at equal steps.

    Parameters
    ----------
    kind : FilterKind
    cutoff_h : float
        Period at which the amplitude is 1/sqrt(2).
    order : int
        Of the Butterworth filter of one pass.

    Raises
    ------
    ValueError
        If the cut-off or the order is not positive.
    """

    kind: FilterKind = FilterKind.ZERO_PHASE
    cutoff_h: float = 3.0
    order: int = 4

    def __post_init__(self) -> None:
        if not 0.0 < self.cutoff_h < np.inf or self.order < 1:
            raise ValueError(f"cut-off {self.cutoff_h} h and order {self.order} must be positive")

    def apply(self, values: FloatArray, step_s: float) -> FloatArray:
        """Return the filtered series (n,) of a series at steps of ``step_s`` seconds.

        Raises
        ------
        ThermodaError
            If the cut-off lies at or beyond the Nyquist frequency.
        ValueError
            If the series is empty or not finite.
        """
        if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
            raise ValueError("a series to be filtered must be one-dimensional, finite and not empty")
        frequency_hz = self._design_frequency_hz(step_s)
        sections = signal.butter(self.order, frequency_hz, fs=1.0 / step_s, output="sos")
        if self.kind is FilterKind.CAUSAL:
            settled = signal.sosfilt_zi(sections) * values[0]
            return np.asarray(signal.sosfilt(sections, values, zi=settled)[0])
        padding = min(values.size - 1, round(PADDING_PERIODS * 3600.0 * self.cutoff_h / step_s))
        return np.asarray(signal.sosfiltfilt(sections, values, padtype="even", padlen=padding))

    def amplitude(self, frequency_hz: FloatArray, step_s: float) -> FloatArray:
        """Return the factor by which a sinusoid of the given frequency is multiplied."""
        ratio = np.tan(np.pi * frequency_hz * step_s) / np.tan(np.pi * self._design_frequency_hz(step_s) * step_s)
        passes = 2 if self.kind is FilterKind.ZERO_PHASE else 1
        return np.asarray((1.0 + ratio ** (2 * self.order)) ** (-0.5 * passes))

    def _design_frequency_hz(self, step_s: float) -> float:
        cutoff_hz = 1.0 / (3600.0 * self.cutoff_h)
        if cutoff_hz >= 0.5 / step_s:
            raise ThermodaError(
                f"calibration.low_pass.cutoff_h is {self.cutoff_h:g}; at steps of {step_s:g} s it must be more than "
                f"{2.0 * step_s / 3600.0:.3g}"
            )
        if self.kind is FilterKind.CAUSAL:
            return cutoff_hz
        warped = np.tan(np.pi * cutoff_hz * step_s) / (np.sqrt(2.0) - 1.0) ** (0.5 / self.order)
        return float(np.arctan(warped) / (np.pi * step_s))
