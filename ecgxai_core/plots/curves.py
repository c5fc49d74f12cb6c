"""Deletion and insertion curves beside random orders and the signal alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ecgxai_core.plots.charts import styled
from ecgxai_core.plots.line_labels import Frame, coinciding, label_places
from ecgxai_core.plots.theme import Theme, method_colour
from ecgxai_core.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from ecgxai_core.metrics.base import Curves

__all__ = ["SIGNAL_NAMES", "curve_table", "removal_curves"]

SIGNAL_NAMES: Mapping[str, str] = {"amplitude": "signal's amplitude", "energy": "signal's slope"}
"""Maps of the signal alone, in charts."""

_RANDOM = "random order"
_DASHES: Mapping[str, str] = {"amplitude": "dash", "energy": "dot"}
_WIDE_PX, _NARROW_PX, _HIGH_PX = 470, 300, 240

_Lines = dict[str, tuple[FloatArray, dict[str, Any]]]
"""By name: the values, and how the line looks."""


def removal_curves(
    curves: Mapping[str, Curves], theme: Theme, *, shown: str = "", narrow: bool = False
) -> go.Figure:
    """Probability during deletion and insertion, one line per map, named beside it; one name where
    lines coincide.

    The band contains the middle 90 % of random orders of the cells. A good map lies below it, and
    below the signal alone, in the first chart and above them in the second.

    Parameters
    ----------
    curves
        By the name of the map.
    theme
        Colours.
    shown
        The map that matters: drawn thick, and beside the signal alone on its own cells; the last
        one if empty.
    narrow
        One chart below the other, for a phone.
    """
    from plotly.subplots import make_subplots

    shown = shown if shown in curves else list(curves)[-1]
    titles = ("Deletion: most important removed first", "Insertion: most important shown first")
    figure = make_subplots(
        2 if narrow else 1, 1 if narrow else 2, shared_yaxes=not narrow,
        horizontal_spacing=0.06, vertical_spacing=0.2, subplot_titles=titles,
    )  # fmt: skip
    main, reach = curves[shown], _reach(curves)
    wide = _NARROW_PX if narrow else _WIDE_PX
    for number in (0, 1):
        place = {"row": number + 1, "col": 1} if narrow else {"row": 1, "col": number + 1}
        # Insertion in random order is deletion in random order, reversed.
        turn = slice(None, None, -1) if number else slice(None)
        low, mean, high = (
            line[turn] for line in (main.random_low, main.random_mean, main.random_high)
        )
        figure.add_traces(_band(main.share, low, high), rows=place["row"], cols=place["col"])
        lines = _lines(curves, shown, mean, number, theme)
        for name, (values, look) in lines.items():
            figure.add_scatter(
                x=main.share, y=values, name=name, showlegend=False, **look, **place,
                hovertemplate=f"{name}: %{{y:.3f}} at %{{x:.0%}}<extra></extra>",
            )  # fmt: skip
        frame = Frame((0.0, 1.0), (reach[0], reach[1]), wide, _HIGH_PX)
        for note in _names(main.share, lines, shown, len(curves), frame):
            figure.add_annotation(showarrow=False, **note, **place)
    figure.update_xaxes(
        title={"text": "share of the record"}, range=[0, 1],
        tickvals=[0, 0.25, 0.5, 0.75, 1], ticktext=["0 %", "25 %", "50 %", "75 %", "100 %"],
    )  # fmt: skip
    figure.update_yaxes(range=reach)
    figure.update_yaxes(title={"text": "probability"}, col=1)
    styled(figure, theme, height=2 * _HIGH_PX + 190 if narrow else _HIGH_PX + 86)
    starts = (0.0, 0.0) if narrow else (0.0, figure.layout.xaxis2.domain[0])
    for note, start in zip(figure.layout.annotations[:2], starts, strict=True):
        note.update(font={"size": 13, "color": theme.text}, yshift=6, x=start, xanchor="left")
    figure.update_layout(margin={"l": 8, "r": 16, "t": 34, "b": 8})
    return figure


def _names(
    share: FloatArray, lines: _Lines, shown: str, n_maps: int, frame: Frame
) -> list[dict[str, Any]]:
    """Annotations with the names of the lines; those that coincide have one name."""
    maps = [name for name in reversed(lines) if name in [*lines][-n_maps:]]
    signal = [name for name in reversed(lines) if name not in (*maps, _RANDOM)]
    groups: dict[str, tuple[str, ...]] = {}
    for some in ([*maps, *signal], [_RANDOM]):
        for group in coinciding({name: (share, lines[name][0]) for name in some}, frame):
            own = [name for name in group if name in maps]
            whole = len(own) == n_maps > 2
            rest = group[len(own) :]
            rest = (*rest[:1], *(name.removeprefix("signal's ") for name in rest[1:]))
            text = ", ".join([*(["all maps"] if whole else own), *rest])
            everything = whole and len(group) == n_maps + len(signal) > n_maps + 1
            groups["all maps and the signal alone" if everything else text] = group
    first = {text: (share, lines[group[0]][0]) for text, group in groups.items()}
    same = {text: [(share, lines[name][0]) for name in group[1:]] for text, group in groups.items()}
    notes = []
    for text, (x, y) in label_places(first, frame, same).items():
        look = lines[groups[text][0]][1]
        said = text.replace(shown, f"<b>{shown}</b>", 1) if groups[text][0] == shown else text
        font = {"size": 11, "color": look["line"]["color"]}
        notes.append({"x": x, "y": y, "text": said, "font": font})
    return notes


def curve_table(curves: Mapping[str, Curves]) -> pd.DataFrame:
    """The curves as numbers: one row per map (or map of the signal alone, on the cells of a map)
    and share of the record."""
    import pandas as pd

    parts = []
    for name, item in curves.items():
        own = {name: (item.deletion, item.insertion)}
        beside = {f"{name}: {SIGNAL_NAMES.get(s, s)}": pair for s, pair in item.beside.items()}
        for title, (deletion, insertion) in (own | beside).items():
            parts.append(pd.DataFrame({
                "map": title, "share": item.share, "deletion": deletion, "insertion": insertion,
                "deletion_random": item.random_mean, "insertion_random": item.random_mean[::-1],
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _lines(
    curves: Mapping[str, Curves], shown: str, mean: FloatArray, number: int, theme: Theme
) -> _Lines:
    """All lines of a chart, the map that matters last, so that it is drawn over the others."""
    lines: _Lines = {_RANDOM: (mean, _look(theme.muted, 1.0, "solid"))}
    for side, pair in curves[shown].beside.items():
        look = _look(theme.text, 1.6, _DASHES.get(side, "dashdot"))
        lines[SIGNAL_NAMES.get(side, side)] = (pair[number], look)
    others = [name for name in curves if name != shown]
    for place, name in enumerate([*others, shown]):
        thick = name == shown
        look = _look(method_colour(0 if thick else place + 1), 3.2 if thick else 1.4, "solid")
        if thick:
            look |= {"mode": "lines+markers", "marker": {"size": 6}}
        item = curves[name]
        lines[name] = ((item.deletion, item.insertion)[number], look)
    return lines


def _look(colour: str, width: float, dash: str) -> dict[str, Any]:
    return {"mode": "lines", "line": {"color": colour, "width": width, "dash": dash}}


def _reach(curves: Mapping[str, Curves]) -> list[float]:
    """Range of the y axis: the curves with a margin, at least 0.1 wide, within [-0.02, 1.04]."""
    lines = [
        line
        for item in curves.values()
        for line in (
            item.deletion, item.insertion, item.random_low, item.random_high,
            *(line for pair in item.beside.values() for line in pair),
        )
    ]  # fmt: skip
    low, high = min(float(v.min()) for v in lines), max(float(v.max()) for v in lines)
    pad = max(0.05 * (high - low), (0.1 - (high - low)) / 2)
    return [max(-0.02, low - pad), min(1.04, high + pad)]


def _band(share: FloatArray, low: FloatArray, high: FloatArray) -> list[dict[str, Any]]:
    common = {
        "type": "scatter", "x": share, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
        "line": {"width": 0},
    }  # fmt: skip
    band = {"fill": "tonexty", "fillcolor": "rgba(128,134,140,0.22)"}
    return [{**common, "y": low}, {**common, **band, "y": high, "name": f"{_RANDOM}s, 5–95 %"}]
