"""Interactive charts in one HTML file that works offline, with plotly.js embedded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecgxai_core.report import html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["view_html"]

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'"
)


def view_html(
    title: str,
    figures: Sequence[tuple[str, Any, str]],
    *,
    facts: Mapping[str, object] | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> str:
    """A page with interactive charts.

    Parameters
    ----------
    title
        Heading.
    figures
        (heading, Plotly figure, text alternative) of each chart.
    facts, tables
        Names with values shown above the charts; titled tables below.
    """
    parts = [html.definitions(facts)] if facts else []
    for number, (heading, figure, alt) in enumerate(figures):
        chart = figure.to_html(
            full_html=False,
            include_plotlyjs=number == 0,
            div_id=f"figure-{number}",
            config={"displaylogo": False, "responsive": True},
        )
        # Plotly embeds the figure as JSON in a script, with "<", ">" and "/" as \\u escapes.
        labelled = html.Html(
            f'<figure role="img" aria-label="{html.text(alt)}">{chart}'
            f"<figcaption>{html.text(alt)}</figcaption></figure>"
        )
        parts.append(html.section(heading, labelled) if heading else labelled)
    for heading, frame in (tables or {}).items():
        parts.append(html.section(heading, html.frame_table(frame), folded=True))
    return html.document(title, *parts, policy=_POLICY)
