"""Content-addressed disk cache, atomic files, the ledger of a run, and values as arrays + JSON."""

from ecgxai_core.store.atomic import (
    csv_bytes,
    read_arrays,
    remove_temporaries,
    write_arrays_atomic,
    write_bytes_atomic,
    write_csv_atomic,
    write_json_atomic,
)
from ecgxai_core.store.cache import Store, info
from ecgxai_core.store.envelope import Entry, key_digest
from ecgxai_core.store.ledger import Ledger, RunLock
from ecgxai_core.store.values import (
    as_json,
    attribution_from_entry,
    entry_of,
    fused_from_entry,
    json_safe,
    read_value,
    value_of,
    write_value_atomic,
)

__all__ = [
    "Entry",
    "Ledger",
    "RunLock",
    "Store",
    "as_json",
    "attribution_from_entry",
    "csv_bytes",
    "entry_of",
    "fused_from_entry",
    "info",
    "json_safe",
    "key_digest",
    "read_arrays",
    "read_value",
    "remove_temporaries",
    "value_of",
    "write_arrays_atomic",
    "write_bytes_atomic",
    "write_csv_atomic",
    "write_json_atomic",
    "write_value_atomic",
]
