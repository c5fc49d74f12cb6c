"""Memory that was freed goes back to the system; free of streamlit, as workers use it too."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def give_back() -> None:
    """Collect garbage and return freed memory; takes tenths of a second in a large process."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only the GNU library keeps freed memory, and has this
        ctypes.CDLL(None).malloc_trim(0)
