"""Static reports: self-contained HTML files without scripts or network access.

``record_report`` covers one prediction with its maps, ``run_report`` a finished run, ``card_html``
the report card of a model; all end with parameters, digests and the command to reproduce them.
``view_html`` saves interactive charts.
"""

from ecgxai_core.report.card import card_html
from ecgxai_core.report.checklist import CHECKLIST, Answer, Checklist
from ecgxai_core.report.record import RecordFacts, record_report
from ecgxai_core.report.run import run_report
from ecgxai_core.report.view import view_html

__all__ = [
    "CHECKLIST",
    "Answer",
    "Checklist",
    "RecordFacts",
    "card_html",
    "record_report",
    "run_report",
    "view_html",
]
