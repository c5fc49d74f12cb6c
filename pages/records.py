"""Records: choose one."""

from __future__ import annotations

from app import frame

view = frame.page("Records")
found = frame.wait_for_predictions(view)
if found.classes:
    frame.table(found.frame(), "records", "records.csv")
