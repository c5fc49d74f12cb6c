"""The frame of every page: banner, sidebar, facts about the view, tables and figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.data import services
from app.shell import controls, jobs, sessions, state
from app.shell.jobs import escaped
from app.shell.state import View
from ecgxai_core.diagnoses import Term, find_diagnosis, term_of
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.explainers import askable
from ecgxai_core.params import PROFILES
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.plots.theme import Theme, theme
from ecgxai_core.report.view import view_html
from ecgxai_core.settings import assets_dir
from ecgxai_core.store.atomic import csv_bytes
from ecgxai_core.store.csv_cells import harmless_frame
from ecgxai_core.types import probability_text

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

PAGES: dict[str, str] = {
    "start": "Start",
    "records": "Records",
    "explain": "Explain",
    "fusion_lab": "Fusion lab",
    "evaluation": "Evaluation",
    "stability": "Stability",
    "what_if": "What-if",
    "cohort": "Cohort",
    "study": "Study",
    "model": "Model",
    "settings": "Settings",
    "guide": "Guide",
    "tour": "Tour",
}
"""File name in ``pages/`` and title, in the order of the navigation: without icons, so that all
stand in one line beside the sidebar of a narrow screen."""

START = "start"
"""The page without an address of its own."""

_INTERVALS = ("PR", "QRS", "QT", "QTc")
"""What these mean on every page; pacing rhythm, which is PR in CinC 2020, goes by another name."""

_HEIGHT, _MARGIN, _BUTTONS = 450, 44, 26
"""Of a chart on a phone, px: usual height and upper margin, and the line of its buttons."""

_SEEN_SEC = 0.04
"""Streamlit sends every 10 ms; then the browser lays the text out, and shows it with its next frame
or the one after it."""

_QUIET = st.components.v2.component(
    "quiet_history",
    js="""
// A step of a slider changes the address, but is no place to go back to: it replaces the entry.
const PLACES = ["data", "record", "target", "model", "profile", "part"];
const placeOf = (url) => {
  const { pathname, searchParams } = new URL(url, location.href);
  return JSON.stringify([pathname, ...PLACES.map((name) => searchParams.get(name))]);
};
export default function quietHistory() {
  const { history } = window;
  if (Object.hasOwn(history, "pushState")) return;
  const push = history.pushState.bind(history);
  history.pushState = (state, title, url) => {
    const same = url && placeOf(url) === placeOf(location.href);
    if (same) history.replaceState(state, title, url);
    else push(state, title, url);
  };
}
""",
)

BANNER = "**For research use only.** Not a medical device; not for diagnosis or treatment."
SIMULATED = ":orange-badge[:material/smart_toy: simulated, not a patient]"


def page(
    title: str, parts: Sequence[str] = (), *, compact: bool = False, of_record: bool = False
) -> View:
    """Draw the frame and return the view with its names filled in (data, model, target).

    ``parts`` are the titles of the parts that :func:`part_of` offers; the view names one of them.
    A ``compact`` page asks for model and target itself, so the sidebar does not. A page
    ``of_record`` shows the open record, so its head names it.
    """
    from app.panels import tour  # which opens pages through this module

    sessions.here()  # known from its first page on, so that its end is noticed
    style()
    services.look_again()
    view = _completed(state.current())
    view = _with_part(view, title, [state.slug(part) for part in parts])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"##### {title}", width="content")
        st.markdown(f":small[:material/science: {BANNER} {_facts(view, of_record)}]")
    for problem in state.link_problems():
        st.warning(escaped(f"The link contains something impossible: {problem}"))
    _sidebar(view, everything=not compact)
    with st.sidebar:
        _QUIET(key="quiet-history")
    tour.bar()
    return view


def style() -> None:
    """The little that the theme cannot say."""
    st.html(assets_dir() / "page.css")


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
        "Part of this page", parts, open_part,
        lambda picked: state.update(part="" if picked == parts[0] else state.slug(picked)),
        key=key, kind="segmented", label_visibility="collapsed",
    )  # fmt: skip
    return open_part


def colours() -> Theme:
    """Colours of plots on the background that the reader has chosen."""
    return theme(st.context.theme.type or "light")


def on_phone() -> bool:
    """Whether the browser is that of a phone; pictures are then drawn for 360 px."""
    return "Mobi" in (st.context.headers.get("User-Agent") or "")


def target_name(code: str) -> str:
    """Name of a class for people: ``atrial fibrillation (AF)``, or the code.

    An abbreviation is resolved to its diagnosis.
    """
    row = find_diagnosis(code)
    term = term_of(code if row is None or code in row.aliases else row.code)
    short = _abbreviation(term)
    return f"{term.name} ({short})" if short else term.name


def short_name(code: str) -> str:
    """Abbreviation of a class, else its name."""
    row = find_diagnosis(code)
    term = term_of(code if row is None or code in row.aliases else row.code)
    return _abbreviation(term) or term.name


def _abbreviation(term: Term) -> str:
    """Its first abbreviation, unless that is an interval too; empty where there is none."""
    return next((name for name in term.abbreviations if name not in _INTERVALS), "")


def ask_target(view: View, key: str, **more: Any) -> None:
    """The diagnosis that the page is about, which all pages share."""
    if known := services.targets(view):
        names = {code: target_name(code) for code in known}
        ordered = sorted(known, key=lambda code: names[code].lower())
        controls.choose(
            "Diagnosis", ordered, services.target(view), lambda code: state.update(target=code),
            key=key, names=names, **more,
        )  # fmt: skip


def empty(text: str, what_to_do: str) -> None:
    """An empty state: what is missing, and what to do about it."""
    st.info(f"**{escaped(text)}**  \n{escaped(what_to_do)}", icon=":material/info:")


def no_record(text: str = "No record is chosen.") -> None:
    """The empty state of a page that needs a record, with a button that opens the list."""
    empty(text, "Choose a record on the Records page, then come back.")
    if st.button("Open the records", icon=":material/list_alt:"):
        go_to("records")


def refused(error: Exception) -> None:
    """Show why something was refused."""
    st.error(escaped(error), icon=":material/block:")


@contextmanager
def refusals() -> Iterator[None]:
    """Show what is refused inside; the page then ends."""
    try:
        yield
    except EcgXaiError as error:
        refused(error)
        st.stop()


def wait_for_predictions(view: View) -> Predictions:
    """Predictions of the view's data set; until they are there the page shows progress and ends."""
    job = services.predictions_job(view)
    if job is None:
        empty(
            f"The data set {view.data} is not here.",
            "Choose another one in the sidebar, or ask for a link to data that you have.",
        )
        st.stop()
    found: Predictions = jobs.wait(job)
    return found


def offer(
    job_key: str,
    label: str,
    begin: Callable[[], object],
    text: str = "",
    hint: str = "",
    *,
    resume: bool = False,
    news: Callable[[], bool] | None = None,
    **more: Any,
) -> Any:
    """What a job returned; else its progress, or a button that starts it.

    ``begin`` starts the job. ``text`` stands beside the button, or, with a ``hint`` of what to do,
    above it; ``more`` goes to the button. With ``resume`` a job that was cancelled is offered like
    one that never began, as it left something to go on from. ``news`` as for
    :func:`app.shell.jobs.show`.
    """
    job = jobs.get(job_key)
    if job is not None and (jobs.cancelled_elsewhere(job) or (resume and job.state == "cancelled")):
        job = None
    if job is not None and job.state != "done":
        jobs.show(job, begin, news)
        return None
    if job is not None and job.result is not None:
        return job.result
    if job is not None:
        # it may have ended after this run of the page looked into the cache: look once more
        looked = st.session_state.setdefault("looked-again", set())
        if job.number not in looked:
            looked.add(job.number)
            st.rerun()
    place = st.empty()
    with place.container():
        if hint:
            empty(text, hint)
        with st.container(horizontal=True, vertical_alignment="center"):
            clicked = st.button(label, icon=":material/play_arrow:", **{"type": "primary", **more})
            if text and not hint:
                st.caption(escaped(text))
    if clicked:
        jobs.forget(job_key)  # a finished one whose results have left the cache
        begin()
        if (job := jobs.get(job_key)) is None or not job.active:
            st.rerun()  # it has ended already
        with place.container():  # in this run: the page below is there already
            jobs.show(job, begin, news)
    return None


def go_to(name: str, **changes: Any) -> None:
    """Change the view and open another page with it."""
    state.update(**changes)
    known: Mapping[str, Any] = st.session_state.get("pages", {})
    if name in known:
        st.switch_page(known[name], query_params=state.to_query(state.current()))


def let_it_be_seen() -> None:
    """Let the browser show what is on the page so far, before charts and tables are sent.

    Streamlit builds every chart anew, in tenths of a second in which the browser shows nothing
    else; text, or a map, that arrives together with one waits for it. What sends the text is a
    thread that needs the interpreter as well, so the script stands aside.
    """
    time.sleep(_SEEN_SEC)


def table(
    frame: pd.DataFrame,
    key: str,
    file_name: str,
    *,
    hint: str = "",
    whole: pd.DataFrame | None = None,
    **more: Any,
) -> Any:
    """A table with its CSV download; ``more`` goes to :func:`streamlit.dataframe`.

    ``hint`` is shown beside the download, which is of the ``whole`` where only a part of it is
    shown. Returns what ``st.dataframe`` returns (the selection).
    """
    saved = frame if whole is None else whole
    # the toolbar of st.dataframe writes CSV as well, of what it shows
    shown = st.dataframe(harmless_frame(frame), key=key, hide_index=True, **more)
    with st.container(horizontal=True, vertical_alignment="center"):
        download("CSV", file_name, "text/csv", lambda: csv_bytes(saved), f"{key}-csv")
        if hint:
            st.caption(hint)
    return shown


def in_words(rows: pd.DataFrame, name: str = "probability") -> pd.DataFrame:
    """The rows with a column of the probability as text, for :func:`probability_columns`."""
    said = [probability_text(p) if p == p else "" for p in rows[name]]
    at = rows.columns.get_loc(name) + 1
    shown = rows.copy()
    shown.insert(at, f"{name}_text", said)
    return shown


def probability_columns(title: str, name: str = "probability", **more: Any) -> dict[str, Any]:
    """A bar, and the number as text beside it, never written as 1; ``more`` is for the bar."""
    column = st.column_config
    return {
        name: column.ProgressColumn(title, min_value=0, max_value=1, format=" ", **more),
        f"{name}_text": column.TextColumn("", width=58),
    }


def picked_row(frame: pd.DataFrame, key: str, file_name: str, **more: Any) -> pd.Series | None:
    """A :func:`table` whose rows can be selected; returns the row that is."""
    event = table(frame, key, file_name, on_select="rerun", selection_mode="single-row", **more)
    rows = event.selection.rows
    return frame.iloc[rows[0]] if rows else None


def download(label: str, name: str, mime: str, make: Callable[[], Any], key: str) -> None:
    """A button that saves a file, which is made when it is clicked."""
    st.download_button(
        label, make, name, mime, key=key, icon=":material/download:", on_click="ignore"
    )


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
        controls.pick(
            "Picture", ("png", "svg"), "png", format_key, format_func=str.upper,
            help="PNG for slides, SVG for print",
        )  # fmt: skip
        st.caption(":material/photo_camera: The camera above the chart saves it in this format.")
        download(
            "HTML (works offline)", f"{file_name}.html", "text/html",
            lambda: view_html(file_name, [("", fig, alt)], facts=shown_facts, tables=numbers),
            f"{key}-html",
        )  # fmt: skip
        st.caption(escaped(alt))
    if frame is not None:
        with st.expander("The same numbers as a table"):
            table(frame, f"{key}-table", f"{file_name}.csv")
    return shown


def _for_fingers(fig: go.Figure, config: dict[str, Any], *, measures: bool) -> None:
    """A drag scrolls the page instead of drawing in the chart. Of the buttons, which a touch screen
    always shows, only the useful ones remain, in a line above the legend."""
    layout = fig.layout
    fig.update_layout(
        dragmode=False,
        height=(layout.height or _HEIGHT) + _BUTTONS,
        margin={"t": (layout.margin.t or _MARGIN) + _BUTTONS},
    )
    unused = ["zoom2d", "pan2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d"]
    config["modeBarButtonsToRemove"] = [*unused, *([] if measures else ["select2d"])]


def _view_facts() -> dict[str, object]:
    """Origin of a saved chart."""
    view = state.current()
    known = services.model(view) is not None
    facts = {
        "data set": view.data,
        "record": view.record,
        "target": target_name(view.target),
        "model": view.model,
        "model digest": services.classifier(view).digest if known else "",
        "profile": view.profile,
    }
    return {name: value for name, value in facts.items() if value}


def _completed(view: View) -> View:
    """Fill in what the view leaves open, so that its link is complete."""
    data, model = services.data_set(view), services.model(view)
    changes: dict[str, Any] = {}
    if not view.methods and model is not None:
        with refusals():
            usual = askable(view.parameters, services.classifier(view))
            if usual.methods != view.parameters.methods:
                changes["methods"] = usual.methods
    if not view.data and data is not None:
        changes["data"] = data.name
    if not view.model and model is not None:
        changes["model"] = model.name
    code, waits = services.target(view), view.record and not services.first_target(view)
    if code and code != view.target and (view.target or not waits):
        changes["target"] = code
    return state.complete(view, **changes) if changes else view


def _sidebar(view: View, *, everything: bool) -> None:
    with st.sidebar:
        sets = dict.fromkeys([*(item.name for item in services.data_sets()), view.data])
        _choice("Data set", "data", sets, view.data)
        usable = [item.name for item in services.models() if not item.problem]
        if usable and everything:
            _choice("Model", "model", dict.fromkeys([*usable, view.model]), view.model)
        known = services.targets(view)
        if known and everything:
            names = {code: target_name(code) for code in known}
            ordered = sorted(known, key=lambda code: names[code].lower())
            _choice("Target", "target", ordered, services.target(view), names)
        words = "default: this project's rules; reference: the published ECG-XAI settings"
        _choice("Profile", "profile", PROFILES, view.profile, help=words)


def _choice(
    label: str, name: str, options: Any, value: str, names: Any = None, **more: Any
) -> None:
    controls.choose(
        label, list(options), value, lambda picked: state.update(**{name: picked}),
        key=f"side-{name}", names=names, **more,
    )  # fmt: skip


_PLAIN = {
    "segments auto": "segments: as clear as the record allows",
    "segments uniform": "windows of equal length",
    "segments beat": "whole beats",
    "segments wave": "waves of each beat",
    "level owen": "segments, then their leads (owen)",
    "level winter": "beats, then waves, then leads (winter)",
    "level lead_in_event": "leads within one segment",
    "level cell": "every cell by itself",
}
"""Settings in words; exports and commands keep their names."""


def _facts(view: View, of_record: bool) -> str:
    """One line on every page, safe as markdown: model and digest, record or data set, profile and
    what differs from it, synthetic."""
    choice, data = services.model(view), services.data_set(view)
    parts = []
    if choice is not None:
        parts.append(f"model **{escaped(choice.name)}** `{services.classifier(view).digest[:12]}`")
    elif view.model:
        parts.append(f"model **{escaped(view.model)}** is not here")
    else:
        parts.append("no model")
    if of_record and view.record:
        parts.append(f"record **{escaped(view.record)}**")
    elif view.data:
        parts.append(f"data **{escaped(view.data)}**")
    parts.append(f"profile **{view.profile}**")
    parts += [
        f":blue-badge[{escaped(_PLAIN.get(text, text))}]" for text in state.changed_settings(view)
    ]
    known = services.info(view) if view.record else None
    simulated = [data is not None and data.synthetic, known is not None and known.synthetic]
    if of_record and known is not None:  # a real ECG stands among those of the demonstration
        del simulated[0]
    if any(simulated):
        parts.append(SIMULATED)
    return " · ".join(parts)
