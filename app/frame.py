"""What stands around every page: banner, sidebar, what is being looked at, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import controls, jobs, services, state, tour
from app.jobs import escaped
from app.state import View
from ecgxai_core.diagnoses import find_diagnosis, term_of
from ecgxai_core.params import PROFILES
from ecgxai_core.pipeline.prediction import Predictions
from ecgxai_core.plots.theme import Theme, theme
from ecgxai_core.report.view import view_html

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "PAGES",
    "colours",
    "empty",
    "escaped",
    "figure",
    "go_to",
    "on_phone",
    "page",
    "part_of",
    "table",
    "target_name",
    "wait_for_predictions",
]

PAGES: dict[str, tuple[str, str]] = {
    "records": ("Records", ":material/list_alt:"),
    "explain": ("Explain", ":material/ecg_heart:"),
    "fusion_lab": ("Fusion lab", ":material/tune:"),
    "evaluation": ("Evaluation", ":material/fact_check:"),
    "stability": ("Stability", ":material/sync_alt:"),
    "model": ("Model", ":material/neurology:"),
    "settings": ("Settings", ":material/settings:"),
    "guide": ("Guide", ":material/menu_book:"),
    "tour": ("Tour", ":material/slideshow:"),
}
"""File name in ``pages/``, its title and icon, in the order of the navigation."""

_HEIGHT, _MARGIN, _BUTTONS = 450, 44, 26
"""Of a chart on a phone, px: usual height and upper margin, and the line of its buttons."""

_BANNER = "**For research use only.** Not a medical device; not for diagnosis or treatment."


def page(title: str, parts: Sequence[str] = ()) -> View:
    """Draw the frame and return the view with its names filled in (data, model, target).

    ``parts`` are the titles of the parts that :func:`part_of` offers; the view names one of them.
    """
    services.look_again()
    view = _completed(state.current())
    view = _with_part(view, title, [state.slug(part) for part in parts])
    st.caption(f":material/science: {_BANNER}")
    st.title(title)
    for problem in state.link_problems():
        st.warning(escaped(f"The link asks for something that is not possible: {problem}"))
    _sidebar(view)
    _facts(view)
    tour.bar()
    return view


def _with_part(view: View, title: str, slugs: Sequence[str]) -> View:
    """The view with a part that this page has: its own, else the one last open here."""
    kept = f"part-of-{title}"
    if view.part not in slugs:
        view = state.complete(view, part=st.session_state.get(kept, ""))
    if slugs:
        st.session_state[kept] = view.part
    return view


def part_of(view: View, parts: Sequence[str], key: str) -> str:
    """The part of this page that is open, and the control that opens another; it is in the URL."""
    open_part = next((part for part in parts if state.slug(part) == view.part), parts[0])
    controls.choose(
        "Part of this page",
        parts,
        open_part,
        lambda picked: state.update(part="" if picked == parts[0] else state.slug(picked)),
        key=key,
        kind="segmented",
        label_visibility="collapsed",
    )
    return open_part


def colours() -> Theme:
    """Colours of plots on the background that the reader has chosen."""
    return theme(st.context.theme.type or "light")


def on_phone() -> bool:
    """Whether the browser says that it is a phone's; pictures are then drawn for 360 px."""
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def target_name(code: str) -> str:
    """Name of a class for people: ``atrial fibrillation (AF)``, or the code.

    An abbreviation stands for its diagnosis.
    """
    row = find_diagnosis(code)
    term = term_of(code if row is None or code in row.aliases else row.code)
    short = f" ({term.abbreviations[0]})" if term.abbreviations else ""
    return f"{term.name}{short}"


def empty(text: str, what_to_do: str) -> None:
    """An empty state: what is missing, and what to do about it."""
    st.info(f"**{escaped(text)}**  \n{escaped(what_to_do)}", icon=":material/info:")


def wait_for_predictions(view: View) -> Predictions:
    """Predictions of the view's data set; until they are there the page shows progress and ends."""
    job = services.predictions_job(view)
    if job is None:
        empty(
            f"The data set {view.data} is not here.",
            "Choose another one in the sidebar, or ask for a link to data that you have.",
        )
        st.stop()
    if job.state != "done":
        jobs.show(job)
        st.stop()
    found: Predictions = job.result
    return found


def go_to(name: str, **changes: Any) -> None:
    """Change the view and open another page; the view goes along."""
    state.update(**changes)
    known: Mapping[str, Any] = st.session_state.get("pages", {})
    if name in known:
        st.switch_page(known[name], query_params=state.to_query(state.current()))


def table(frame: pd.DataFrame, key: str, file_name: str, *, hint: str = "", **more: Any) -> Any:
    """A table with its CSV download; ``more`` goes to :func:`streamlit.dataframe`.

    ``hint`` stands beside the download. Returns what ``st.dataframe`` returns (the selection).
    """
    shown = st.dataframe(frame, key=key, hide_index=True, **more)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "CSV",
            data=lambda: frame.to_csv(index=False),
            file_name=file_name,
            mime="text/csv",
            key=f"{key}-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        if hint:
            st.caption(hint)
    return shown


def figure(
    fig: go.Figure,
    key: str,
    alt: str,
    frame: pd.DataFrame | None = None,
    *,
    file_name: str = "figure",
    **more: Any,
) -> Any:
    """A chart with its text alternative, downloads, and the same numbers as a table.

    The camera of the chart saves a PNG or, where chosen, an SVG; HTML is self-contained. ``more``
    goes to :func:`streamlit.plotly_chart` (``on_select``, ``height``). Returns what it returns.
    """
    format_key = f"{key}-format"
    config = {
        "displaylogo": False,
        "scrollZoom": False,
        "responsive": True,
        "toImageButtonOptions": {
            "format": st.session_state.get(format_key) or "png",
            "filename": file_name,
            "scale": 2,
        },
        **more.pop("config", {}),
    }
    if on_phone():
        _for_fingers(fig, config, measures="on_select" in more)
    shown_facts, numbers = _view_facts(), {} if frame is None else {"The same numbers": frame}
    shown = st.plotly_chart(fig, key=key, theme=None, config=config, alt=alt, **more)
    with st.popover("Download", icon=":material/download:"):
        st.segmented_control(
            "Picture",
            ("png", "svg"),
            default="png",
            required=True,
            key=format_key,
            format_func=str.upper,
            help="PNG for slides, SVG for print",
        )
        st.caption(":material/photo_camera: The camera above the chart saves it in this format.")
        st.download_button(
            "HTML (works offline)",
            data=lambda: view_html(file_name, [("", fig, alt)], facts=shown_facts, tables=numbers),
            file_name=f"{file_name}.html",
            mime="text/html",
            key=f"{key}-html",
            on_click="ignore",
        )
        st.caption(escaped(alt))
    if frame is not None:
        with st.expander("The same numbers as a table"):
            table(frame, f"{key}-table", f"{file_name}.csv")
    return shown


def _for_fingers(fig: go.Figure, config: dict[str, Any], *, measures: bool) -> None:
    """A drag scrolls the page instead of drawing in the chart, and of the buttons, which are always
    shown on a touch screen, only those of use stay, in a line above the legend."""
    layout = fig.layout
    fig.update_layout(
        dragmode=False,
        height=(layout.height or _HEIGHT) + _BUTTONS,
        margin={"t": (layout.margin.t or _MARGIN) + _BUTTONS},
    )
    unused = ["zoom2d", "pan2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d"]
    config["modeBarButtonsToRemove"] = [*unused, *([] if measures else ["select2d"])]


def _view_facts() -> dict[str, object]:
    """What a saved chart says of where it comes from."""
    view = state.current()
    choice = services.model(view)
    digest = services.classifier(view).digest if choice is not None else ""
    facts = {
        "data set": view.data,
        "record": view.record,
        "target": target_name(view.target),
        "model": view.model,
        "model digest": digest,
        "profile": view.profile,
    }
    return {name: value for name, value in facts.items() if value}


def _completed(view: View) -> View:
    """Fill in what the view leaves open, so that its link is complete."""
    data, model = services.data_set(view), services.model(view)
    changes: dict[str, str] = {}
    if not view.data and data is not None:
        changes["data"] = data.name
    if not view.model and model is not None:
        changes["model"] = model.name
    code = services.target(view)
    if code and code != view.target:
        changes["target"] = code
    return state.complete(view, **changes) if changes else view


def _sidebar(view: View) -> None:
    with st.sidebar:
        sets = [item.name for item in services.data_sets()]
        if view.data not in sets:
            sets.append(view.data)
        _choice("Data set", "data", sets, view.data)
        usable = [item.name for item in services.models() if not item.problem]
        if usable:
            if view.model not in usable:
                usable.append(view.model)
            _choice("Model", "model", usable, view.model)
        known = services.targets(view)
        if known:
            names = {code: target_name(code) for code in known}
            ordered = sorted(known, key=lambda code: names[code].lower())
            _choice("Target", "target", ordered, services.target(view), names)
        _choice(
            "Profile",
            "profile",
            PROFILES,
            view.profile,
            help="default: this project's rules; reference: the published ECG-XAI settings",
        )


def _choice(
    label: str, name: str, options: Any, value: str, names: Any = None, **more: Any
) -> None:
    controls.choose(
        label,
        list(options),
        value,
        lambda picked: state.update(**{name: picked}),
        key=f"side-{name}",
        names=names,
        **more,
    )


def _facts(view: View) -> None:
    """One line that is always there: model and digest, record, profile, synthetic."""
    choice, data = services.model(view), services.data_set(view)
    parts = []
    if choice is not None:
        parts.append(f"model **{escaped(choice.name)}** `{services.classifier(view).digest[:12]}`")
    elif view.model:
        parts.append(f"model **{escaped(view.model)}** is not here")
    else:
        parts.append("no model")
    if view.record:
        parts.append(f"record **{escaped(view.record)}**")
    parts.append(f"profile **{view.profile}**")
    known = services.info(view) if view.record else None
    if (known is not None and known.synthetic) or (data is not None and data.synthetic):
        parts.append(":orange-badge[:material/smart_toy: simulated, not a patient]")
    st.markdown(" · ".join(parts))
