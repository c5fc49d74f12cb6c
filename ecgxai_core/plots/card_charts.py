"""Charts of a report card: the grid of verdicts, and the distribution of evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.charts import broken, text_grid
from ecgxai_core.plots.theme import Theme

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["evidence_map", "verdict_grid"]

_SIGNS = {"pass": "✓", "fail": "✗", "too few": "…", "not defined": "–", "not tested": "?"}
_PLACES = {"pass": 3, "fail": 2, "too few": 1, "not defined": 0, "not tested": 0}
_ROW = 30


def verdict_grid(rows: pd.DataFrame, theme: Theme, *, narrow: bool = False) -> go.Figure:
    """Verdicts of tests (rows) and maps (columns) as symbols and colours, with the mean.

    Parameters
    ----------
    rows
        Columns ``test``, ``map``, ``verdict``, ``mean``, ``why``; one row per test and map.
    theme
        Colours.
    narrow
        Omit the numbers, for a phone.
    """
    tests, maps = list(dict.fromkeys(rows["test"])), list(dict.fromkeys(rows["map"]))
    found = _by(rows, "test", "map")
    stops: list[list[Any]] = []
    for place, colour in enumerate((theme.paper, theme.overlay_grid_small, "#e69f00", "#2b87c8")):
        stops += [[place / 4, colour], [(place + 1) / 4, colour]]
    return text_grid(
        theme, _ROW * len(tests) + 90, top=True,
        x=[broken(name, 6 if narrow else 12) for name in maps], y=tests,
        z=[[_PLACES[found[t, m]["verdict"]] for m in maps] for t in tests],
        text=[[_cell(found[t, m], narrow) for m in maps] for t in tests],
        customdata=[["{verdict}: {why}".format(**found[t, m]) for m in maps] for t in tests],
        hovertemplate="%{y}, %{x}<br>%{customdata}<extra></extra>",
        textfont={"size": 12, "color": theme.text},
        colorscale=stops, zmin=-0.5, zmax=3.5, opacity=0.6, xgap=3, ygap=3,
    )  # fmt: skip


def _by(rows: pd.DataFrame, one: str, other: str) -> dict[tuple[str, str], Any]:
    return {(row[one], row[other]): row for row in rows.to_dict("records")}


def _cell(row: Any, narrow: bool) -> str:
    sign, mean = _SIGNS[row["verdict"]], row["mean"]
    return sign if narrow or math.isnan(mean) else f"{sign} {mean:z.2f}"


def evidence_map(rows: pd.DataFrame, theme: Theme, *, title: str) -> go.Figure:
    """Share of the positive mass by diagnosis (rows) and place (columns), coloured by enrichment.

    Parameters
    ----------
    rows
        Columns ``diagnosis``, ``place``, ``mass``, ``enrichment``, ``n``; one row per diagnosis
        and place.
    theme, title
        Colours, and the title of the columns.
    """
    names, places = list(dict.fromkeys(rows["diagnosis"])), list(dict.fromkeys(rows["place"]))
    found = _by(rows, "diagnosis", "place")
    cells = [[found[name, place] for place in places] for name in names]
    bar = {
        "title": {"text": "mass / time", "side": "right"}, "thickness": 10,
        "tickvals": [0, 1, 2], "ticktext": ["0", "1", "2 or more"],
    }  # fmt: skip
    figure = text_grid(
        theme, 44 * len(names) + 110, top=True,
        x=places, y=[broken("{diagnosis} (n = {n})".format(**line[0])) for line in cells],
        z=[[cell["enrichment"] for cell in line] for line in cells],
        text=[[_percent(cell["mass"]) for cell in line] for line in cells],
        textfont={"color": theme.text},
        hovertemplate="%{y}, %{x}: %{text} of the mass, %{z:.2f} times its share of the time"
        "<extra></extra>",
        colorscale=[[0, theme.paper], [0.5, theme.paper], [1, theme.in_favour]],
        zmin=0, zmax=2, opacity=0.75, showscale=True, colorbar=bar,
    )  # fmt: skip
    return figure.update_xaxes(title={"text": title})


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"
