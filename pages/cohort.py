"""Cohort: what the model uses on many records, alone or against others."""

from __future__ import annotations

from app.panels import cohort
from app.shell import frame

view = frame.page("Cohort", compact=True)
cohort.cohort_page(view)
