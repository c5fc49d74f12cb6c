"""Measuring on the paper: a box gives milliseconds, rate and millivolts."""

from __future__ import annotations

from dataclasses import dataclass

from ecgxai_core.plots.layout import Panel

__all__ = ["Measurement", "measure"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """Two cursors in time and two in voltage. ``lead`` is the panel that the box is on.

    ``low_mv`` and ``high_mv`` are relative to 0 mV of that lead, after a flip (-aVR).
    """

    lead: str
    start_sec: float
    stop_sec: float
    low_mv: float
    high_mv: float

    @property
    def milliseconds(self) -> float:
        """Distance in time, ms."""
        return (self.stop_sec - self.start_sec) * 1000

    @property
    def per_minute(self) -> float:
        """Rate of something that recurs at this distance, per minute."""
        return 60_000 / self.milliseconds if self.milliseconds > 0 else float("inf")

    @property
    def millivolts(self) -> float:
        """Distance in voltage, mV."""
        return self.high_mv - self.low_mv


def measure(
    places: tuple[Panel, ...], x: tuple[float, float], y: tuple[float, float], gain_mm_mv: float
) -> Measurement:
    """Measure a box drawn on :func:`ecgxai_core.plots.paper.ecg_figure`.

    Parameters
    ----------
    places
        Panels of that figure.
    x, y
        Its sides in axis units: seconds, and mV at 10 mm/mV.
    gain_mm_mv
        Gain of the figure; at 20 mm/mV a millivolt is 2 units high.
    """
    start, stop = sorted(x)
    low, high = sorted(y)
    middle_x, middle_y = (start + stop) / 2, (low + high) / 2

    def away(panel: Panel) -> tuple[float, float]:
        outside = max(panel.start - middle_x, middle_x - panel.stop, 0.0)
        return outside, abs(panel.offset - middle_y)

    panel = min(places, key=away)
    unit = gain_mm_mv / 10
    return Measurement(
        panel.label, start, stop, (low - panel.offset) / unit, (high - panel.offset) / unit
    )
