"""Charts of a report card: verdicts as a grid, and where the evidence of maps lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.charts import broken, styled
from ecgxai_core.plots.theme import Theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["evidence_map", "verdict_grid"]

_SIGNS = {"pass": "✓", "fail": "✗", "too few": "…", "not defined": "–"}
_PLACES = {"pass": 3, "fail": 2, "too few": 1, "not defined": 0}
_ROW = 30


def verdict_grid(rows: pd.DataFrame, theme: Theme, *, narrow: bool = False) -> go.Figure:
    """Tests (rows) by maps (columns): a sign and a colour a verdict, with the mean.

    Parameters
    ----------
    rows
        Columns ``test``, ``map``, ``verdict``, ``mean``, ``why``; a row a test and map.
    theme
        Colours.
    narrow
        Leave the numbers out, for a phone.
    """
    import plotly.graph_objects as go

    tests, maps = list(dict.fromkeys(rows["test"])), list(dict.fromkeys(rows["map"]))
    found: dict[tuple[str, str], Any] = {(row.test, row.map): row for row in _rows(rows)}
    text = [[_cell(found[t, m], narrow) for m in maps] for t in tests]
    colours = (theme.paper, theme.overlay_grid_small, "#e69f00", "#2b87c8")
    stops: list[list[Any]] = []
    for place, colour in enumerate(colours):
        stops += [[place / 4, colour], [(place + 1) / 4, colour]]
    figure = go.Figure(
        go.Heatmap(
            x=[broken(name, 6 if narrow else 12) for name in maps],
            y=tests,
            z=[[_PLACES[found[t, m].verdict] for m in maps] for t in tests],
            text=text,
            customdata=[[f"{found[t, m].verdict}: {found[t, m].why}" for m in maps] for t in tests],
            texttemplate="%{text}",
            hovertemplate="%{y}, %{x}<br>%{customdata}<extra></extra>",
            textfont={"size": 12, "color": theme.text},
            colorscale=stops,
            zmin=-0.5,
            zmax=3.5,
            opacity=0.6,
            xgap=3,
            ygap=3,
            showscale=False,
        )
    )
    styled(figure, theme, height=_ROW * len(tests) + 90)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(side="top", showgrid=False, tickangle=0)
    return figure


def _rows(rows: pd.DataFrame) -> Iterator[Any]:
    """Rows by the names of their columns."""
    return iter(rows.itertuples(index=False))


def _cell(row: Any, narrow: bool) -> str:
    sign = _SIGNS[row.verdict]
    if narrow or row.mean != row.mean:
        return sign
    return f"{sign} {round(row.mean, 2) + 0.0:.2f}"  # + 0: no "-0.00"


def evidence_map(rows: pd.DataFrame, theme: Theme, *, title: str) -> go.Figure:
    """Diagnoses (rows) by places (columns): share of the positive mass, coloured by enrichment.

    Parameters
    ----------
    rows
        Columns ``diagnosis``, ``place``, ``mass``, ``enrichment``, ``n``; a row a diagnosis and
        place.
    theme, title
        Colours, and what the columns are.
    """
    import plotly.graph_objects as go

    names, places = list(dict.fromkeys(rows["diagnosis"])), list(dict.fromkeys(rows["place"]))
    found: dict[tuple[str, str], Any] = {(row.diagnosis, row.place): row for row in _rows(rows)}
    cells = [[found[name, place] for place in places] for name in names]
    titles = [f"{line[0].diagnosis} (n = {line[0].n})" for line in cells]
    figure = go.Figure(
        go.Heatmap(
            x=places,
            y=[broken(title) for title in titles],
            z=[[cell.enrichment for cell in line] for line in cells],
            text=[[_percent(cell.mass) for cell in line] for line in cells],
            texttemplate="%{text}",
            textfont={"color": theme.text},
            hovertemplate="%{y}, %{x}: %{text} of the mass, %{z:.2f} times its time"
            "<extra></extra>",
            colorscale=[[0, theme.paper], [0.5, theme.paper], [1, theme.in_favour]],
            zmin=0,
            zmax=2,
            opacity=0.75,
            xgap=2,
            ygap=2,
            colorbar={
                "title": {"text": "mass / time", "side": "right"}, "thickness": 10,
                "tickvals": [0, 1, 2], "ticktext": ["0", "1 = its time", "2 and more"],
            },
        )
    )  # fmt: skip
    styled(figure, theme, height=44 * len(names) + 110)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(side="top", showgrid=False, title={"text": title}, tickangle=0)
    return figure


def _percent(value: float) -> str:
    return f"{value:.0%}" if value == value else "–"
