"""How work is watched and stopped early: a meter that is called before every batch.

Whoever starts work sets the meter (:func:`stoppable`); whatever computes in batches tells it how
much comes next (:func:`check_stop`), without being handed anything. A meter belongs to the context
(thread) that set it, so work of one thread never ends that of another. Nothing that was begun is
kept: results are stored when they are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["GRADIENT_PASSES", "Meter", "Stopped", "check_stop", "stoppable"]

GRADIENT_PASSES = 3.0
"""What a gradient costs in forward passes: one forward, and about two on the way back."""

Meter = Callable[[float], bool]
"""Called with the forward passes of one record that come next; whether to stop instead."""


class Stopped(BaseException):
    """The work was asked to end. No ``Exception``: nothing in between may take it for a fault."""


def _never(_passes: float) -> bool:
    return False


_meter: ContextVar[Meter] = ContextVar("meter", default=_never)


@contextmanager
def stoppable(meter: Meter) -> Iterator[None]:
    """Run a block that ends with :class:`Stopped` once the meter says so.

    Parameters
    ----------
    meter
        Called before every batch, so it should take microseconds.
    """
    token = _meter.set(meter)
    try:
        yield
    finally:
        _meter.reset(token)


def check_stop(passes: float = 0.0) -> None:
    """End the work here if that was asked for; otherwise say what is computed next.

    Parameters
    ----------
    passes
        Size of the batch that comes, in forward passes of one record; a tenth of a microsecond
        where no meter is set.

    Raises
    ------
    Stopped
        The work was asked to end.
    """
    if _meter.get()(passes):
        raise Stopped
