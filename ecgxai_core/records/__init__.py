"""Reading, checking and writing ECG records."""

from ecgxai_core.records.read import find_records, read_record, read_records
from ecgxai_core.records.write import write_record

__all__ = ["find_records", "read_record", "read_records", "write_record"]
