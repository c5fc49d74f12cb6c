"""Maps of the open record: which there are, and how the missing ones are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from app.data import services
from app.shell import frame, jobs, sessions
from app.shell.frame import escaped
from app.shell.state import FUSED, View
from ecgxai_core.explainers import METHODS
from ecgxai_core.fusion import view as fusion_view
from ecgxai_core.pipeline.explain import fused_map
from ecgxai_core.plots.words import listed
from ecgxai_core.types import Attribution, FusedMap, Map, Record, array_digest, is_preview


def method_title(name: str) -> str:
    """Name of a method, or of the fused map, for people."""
    if name == FUSED:
        return "Fused"
    return METHODS[name].title if name in METHODS else name


def wanted_methods(view: View) -> tuple[str, ...]:
    """Methods whose attributions the view needs."""
    if view.method in METHODS:
        return (view.method,)
    return view.parameters.methods


def maps_of(view: View, record: Record, *, previews: bool = False) -> dict[str, Map]:
    """Maps of the record that are in the cache, by method; ``fused`` once all its methods are.

    With ``previews`` a map that is not there yet is shown as far as it has been refined: see
    :func:`ecgxai_core.types.is_preview`.
    """
    fused, found = view.parameters.methods, _in_cache(view, record, previews)
    parts = {name: found[name] for name in fused if name in found}
    if len(parts) < len(fused):
        return dict(found)
    return {FUSED: fused_map(parts, view.parameters), **found}


def _in_cache(view: View, record: Record, previews: bool) -> dict[str, Attribution]:
    names = tuple(dict.fromkeys((*view.parameters.methods, *wanted_methods(view))))
    found = services.attributions(view, record, names)
    if not previews or len(found) == len(names):
        return found
    found = {**services.previews(view, record, names), **found}
    return {name: found[name] for name in names if name in found}


def missing_methods(view: View, found: Mapping[str, Map]) -> tuple[str, ...]:
    """Methods in view whose final map is not among those found."""
    return tuple(n for n in wanted_methods(view) if n not in found or is_preview(found[n]))


def explain_example(view: View, record: Record, maps: Mapping[str, Map]) -> None:
    """Explain a record that nobody chose, if it belongs to the demonstration: people have not
    asked for their own records' processor time, and a page with an example should not be empty."""
    data, methods = services.data_set(view), wanted_methods(view)
    if data is None or not data.synthetic or not services.target(view):
        return
    if missing_methods(view, maps):
        job = jobs.get(services.explain_key(view, record, methods))
        if job is None or jobs.cancelled_elsewhere(job):  # ended with the tab that asked for it
            services.explain_job(view, record, methods)


def shown_map(fused: FusedMap, view: View) -> FusedMap:
    """The fused map with cells below ``tau`` at 0; explored stays explored."""
    kept = fusion_view(fused, view.fusion).kept
    return replace(fused, weights=np.where(kept, fused.weights, np.float32(0)))


def run_panel(view: View, record: Record, shown: Mapping[str, Map]) -> None:
    """Offer to compute what the maps that are shown lack; show the job that does it, and draw the
    page anew when a map comes in, and when what the job adds to the maps is there."""
    missing, methods = missing_methods(view, shown), wanted_methods(view)
    if not services.target(view):
        return
    key = services.explain_key(view, record, methods)
    if not missing:
        job = jobs.get(key)
        if job is not None and job.active and sessions.here() in job.asked_by:
            also = "what the finding is worth, and maps of other diagnoses that are called"
            jobs.show_aside(job, f"The maps are there; still being computed: {also}.")
        return
    titles = listed([method_title(name) for name in missing])
    text = (
        f"{titles} of this record, target and profile: not computed yet. It runs in the "
        "background; you can look at other pages meanwhile."
    )
    preliminary = [shown[name] for name in missing if name in shown]
    if preliminary:
        job = jobs.get(key)
        refined = job is not None and job.active
        _say_preliminary(preliminary, refined)
        text = "The map is refined from where it stopped, if the server still has it."
    drawn = _versions(shown)
    frame.offer(
        key,
        f"Refine {titles}" if len(preliminary) == len(missing) else f"Explain with {titles}",
        lambda: services.explain_job(view, record, methods),
        text,
        resume=bool(preliminary),
        news=lambda: _versions(_in_cache(view, record, True)) != drawn,
    )


def _versions(found: Mapping[str, Map]) -> dict[str, str]:
    """What tells a map from the same one refined further."""
    return {
        name: array_digest(item.weights)
        for name, item in found.items()
        if isinstance(item, Attribution)
    }


def _say_preliminary(found: Sequence[Map], refined: bool) -> None:
    """How far preliminary maps are, and whether they get any further."""
    said = "; ".join(preliminary_in_words(item) for item in found)
    now = "it is being refined." if refined else "its refinement was stopped."
    st.markdown(
        f":orange[:material/hourglass_top: **Preliminary map**: {escaped(said)}; {escaped(now)}]"
    )


def preliminary_in_words(item: Map) -> str:
    """How far off a preliminary map may be; plain text."""
    error = item.diagnostics.get("relative_error")
    size = "is not known" if error is None else f"is at most {error:.0%} of it"
    return f"the error of {method_title(item.method)} {size}"
