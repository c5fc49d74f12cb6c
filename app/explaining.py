"""The form for explanation parameters: made from the schema and from what the methods say they
use, so that a new method or parameter shows up by itself."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import controls, review, services, state
from app.frame import escaped
from app.state import View
from ecgxai_core.explain import METHODS
from ecgxai_core.params import ExplainParams, profile

__all__ = ["differences", "parameters_panel", "used_by"]


def used_by(methods: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Parameter -> those of the methods whose result it influences, in order of the schema.

    What no method claims is of the game that all of them play.
    """
    claimed = {name for method in METHODS.values() for name in method.uses}
    found = {
        name: tuple(m for m in methods if name in METHODS[m].uses or name not in claimed)
        for name in ExplainParams.model_fields
    }
    return {name: users for name, users in found.items() if users}


def parameters_panel(view: View, missing: Sequence[str] = ()) -> None:
    """Widgets of every parameter of the methods in view, reset, and what differs from the profile.

    A change goes to the URL and to all methods; maps made with other parameters stay in the cache.
    ``missing`` are methods to be run with these parameters; they can be started from here too.
    """
    methods = [name for name in review.wanted_methods(view) if name in METHODS]
    if not methods or services.model(view) is None:
        return
    fields = used_by(methods)
    shown = view.parameters.for_method(methods[0])

    def apply(params: ExplainParams) -> None:
        changes = {
            name: getattr(params, name)
            for name in fields
            if getattr(params, name) != getattr(shown, name)
        }
        state.update(explain=state.with_explain(view, changes))

    with st.expander("Parameters of the explanation", icon=":material/tune:"):
        titles = " and ".join(review.method_title(name) for name in methods)
        st.caption(
            f"{escaped(titles)}: another value asks for another explanation, which is then "
            "computed and kept; nothing is lost. Names are those of `ecgxai --set`."
        )
        columns = st.columns(2, gap="medium")
        for number, (name, users) in enumerate(fields.items()):
            label = name.replace("_", " ")
            if len(users) < len(methods):
                label += f" ({', '.join(review.method_title(user) for user in users)})"
            with columns[number * 2 // len(fields)]:
                controls.form_for(shown, (name,), "explain", apply, {name: label})
        with st.container(horizontal=True):
            if missing and st.button(
                "Explain with these", key="explain-run", icon=":material/play_arrow:"
            ):
                services.explain_job(view, services.explain_params(view, tuple(missing)))
                st.rerun()
            st.button(
                "Reset to the profile",
                key="explain-reset",
                icon=":material/restart_alt:",
                on_click=state.update,
                kwargs={"explain": ()},
                disabled=not view.explain,
            )


def differences(view: View) -> None:
    """What is not as the profile has it; said even while the form is closed."""
    if not view.explain:
        return
    usual = profile(view.profile).for_method(review.wanted_methods(view)[0])
    parts = []
    for name, text in view.explain:
        before = getattr(usual, name)
        known = "automatic" if before is None else before
        parts.append(f"{name} {'automatic' if text == 'none' else text} (profile: {known})")
    st.caption(f":material/tune: Changed: {escaped('; '.join(parts))}.")
