"""Interactive charts as one file that works offline: plotly.js is inside, once."""

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
    """A page with charts that zoom and show values.

    Parameters
    ----------
    title
        Heading.
    figures
        (heading, Plotly figure, text alternative) each.
    facts, tables
        What stands above and below: names with values, titled tables.
    """
    parts = [html.definitions(facts)] if facts else []
    for number, (heading, figure, alt) in enumerate(figures):
        chart = figure.to_html(
            full_html=False,
            include_plotlyjs=number == 0,
            div_id=f"figure-{number}",
            config={"displaylogo": False, "responsive": True},
        )
        # Plotly writes the figure as JSON into a script, with "<", ">" and "/" as \\u escapes.
        labelled = html.Html(
            f'<figure role="img" aria-label="{html.text(alt)}">{chart}'
            f"<figcaption>{html.text(alt)}</figcaption></figure>"
        )
        parts.append(html.section(heading, labelled) if heading else labelled)
    for heading, frame in (tables or {}).items():
        rows = frame.itertuples(index=False, name=None)
        parts.append(
            html.section(heading, html.table([str(c) for c in frame.columns], rows), folded=True)
        )
    return html.document(title, *parts, policy=_POLICY)
