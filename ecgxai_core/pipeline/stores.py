"""The disk cache that the settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ecgxai_core.settings import settings
from ecgxai_core.store.cache import Store

__all__ = ["open_store"]


@contextmanager
def open_store() -> Iterator[Store]:
    """The cache of this machine, closed afterwards; a cache that fails is only a slow one."""
    chosen = settings()
    store = Store(chosen.cache_dir, int(chosen.cache_limit_gb * 1e9))
    try:
        yield store
    finally:
        store.close()
