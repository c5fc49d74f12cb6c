"""Content-addressed disk cache, atomic files, and values as arrays and JSON."""

from ecgxai_core.store.cache import Store

__all__ = ["Store"]
