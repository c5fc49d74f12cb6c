"""R peaks, waves, intervals, segments, and changes of a signal that should not matter."""

from ecgxai_core.signal.beats import r_peaks

__all__ = ["r_peaks"]
