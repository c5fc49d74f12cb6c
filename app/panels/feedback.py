"""What the reader says of a map: one line under the answer, kept on this machine."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.data import services
from app.shell import frame, users
from app.shell.frame import escaped, target_name
from app.shell.server_settings import is_operator
from app.shell.state import View, changed_settings
from app.viewer import Reader, Region
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.settings import settings
from ecgxai_core.study.feedback import Feedback, FeedbackStore, feedback, summary
from ecgxai_core.types import Map, Record, array_digest

_VERDICTS = {"agree": "Agree", "disagree": "Disagree", "unsure": "Unsure"}
_SCALE = tuple(range(-3, 4))
_SESSION, _REGIONS = "feedback-session", "feedback-regions"


def ask(view: View, record: Record, item: Map, reader: Reader) -> None:
    """Ask for a verdict, with more where the reader wants to say more."""
    regions = _marked(record, reader)
    digest = array_digest(item.weights, item.edges_sec)
    begun = st.session_state.setdefault(f"feedback-seen-{digest[:16]}", time.time())
    given = _given(record, digest)
    if given is not None:
        _thanks(given)
        return
    key = f"feedback-{digest[:12]}"
    with st.container(horizontal=True, vertical_alignment="center"):
        verdict = st.segmented_control(
            "Do you agree with the model?", list(_VERDICTS), key=f"{key}-verdict",
            format_func=_VERDICTS.__getitem__,
        )  # fmt: skip
        more = _more(key, regions)
        if st.button("Keep feedback", key=f"{key}-keep", disabled=verdict is None):
            answer = {**more, "verdict": verdict, "seconds": {"read": time.time() - begun}}
            with frame.refusals():
                _keep(_about(view, record, item, digest, answer))
            st.rerun()


def _more(key: str, regions: Sequence[Region]) -> dict[str, Any]:
    """What else there is to say, behind one button."""
    with st.popover("Say more", icon=":material/rate_review:"):
        diagnosis = st.text_input("Your own diagnosis", key=f"{key}-diagnosis", max_chars=200)
        kind = "missing"
        if regions:
            named = ", ".join(f"{r.lead} {r.from_sec:.2f} to {r.to_sec:.2f} s" for r in regions)
            st.caption(escaped(f"Marked in the ECG: {named}"))
            kind = st.radio(
                "The marked evidence is", ("missing", "wrong"), key=f"{key}-kind", horizontal=True,
                format_func=lambda one: {"missing": "missing in the map", "wrong": "wrong"}[one],
            )  # fmt: skip
        else:
            st.caption("Mark regions in the ECG (Region) that the map lacks or shows wrongly.")
        scores = {"relevance": _score(key, "Relevant"), "helpfulness": _score(key, "Helpful")}
        harm = st.toggle("Acting on this map could harm a patient", key=f"{key}-harm")
        comment = st.text_area("Comment", key=f"{key}-comment", max_chars=2_000)
        st.caption(":material/privacy_tip: No names, birth dates or numbers of patients, please.")
        rater = {
            "pseudonym": st.text_input("Pseudonym", key="rater-pseudonym", max_chars=60),
            "role": st.text_input("Role", key="rater-role", max_chars=60),
            "years": st.number_input(
                "Years of reading ECGs", 0.0, 80.0, None, 1.0, key="rater-years"
            ),
        }
    marked = [
        {"lead": r.lead, "from_sec": r.from_sec, "to_sec": r.to_sec, "kind": kind} for r in regions
    ]
    return {
        "diagnosis": diagnosis, "regions": marked, **scores, "harm": harm, "comment": comment,
        "rater": rater,
    }  # fmt: skip


def _score(key: str, label: str) -> int | None:
    """From -3 to +3, or no answer."""
    picked = st.select_slider(
        label, [None, *_SCALE], None, key=f"{key}-{label.lower()}",
        format_func=lambda one: "no answer" if one is None else f"{one:+d}",
    )  # fmt: skip
    return None if picked is None else int(picked)


def _about(view: View, record: Record, item: Map, digest: str, answer: dict[str, Any]) -> Feedback:
    data = services.data_set(view)
    own = data is not None and data.own
    return feedback(
        record="" if own else record.name,
        record_digest=record.digest,
        record_kept=not own,
        model=view.model,
        model_digest=item.provenance.model_digest,
        target=item.target,
        probability=item.probability,
        called=_called(view, item),
        map=item.method,
        map_digest=digest,
        settings={"profile": view.profile, "changed": list(changed_settings(view))},
        answer=answer,
    )


def _called(view: View, item: Map) -> bool:
    """Whether the model calls the target present, as the line above the ECG says."""
    value = services.prediction(view)
    p = item.probability if value is None else value.probability(item.target)
    return bool(p >= services.threshold(view, item.target))


def _store() -> FeedbackStore:
    return FeedbackStore(settings().feedback_file)


def _session() -> str:
    """Who may see and take back what is given here: the user who is signed in, else whoever has the
    secret of this browser session."""
    if owner := users.owner():
        return owner
    return str(st.session_state.setdefault(_SESSION, secrets.token_hex(16)))


def _keep(item: Feedback) -> None:
    _store().add(item, _session())


def _given(record: Record, digest: str) -> dict[str, Any] | None:
    """What this session said of this map and did not take back."""
    if _SESSION not in st.session_state and not users.owner():
        return None
    rows = [
        row for row in _store().rows(_session())
        if row["map_digest"] == digest and row["record_digest"] == record.digest
        and not row["withdrawn"]
    ]  # fmt: skip
    return rows[-1] if rows else None


def _thanks(given: dict[str, Any]) -> None:
    words = _VERDICTS[given["answer"]["verdict"]].lower()
    text = f":material/check: Your feedback is kept on this machine: **{words}**."
    if not given["record_kept"]:
        text += " The record itself is deleted with this session."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(text)
        if st.button("Take back", key=f"take-back-{given['id'][:12]}", type="tertiary"):
            with frame.refusals():
                _store().withdraw(given["id"], _session())
            st.rerun()


def _marked(record: Record, reader: Reader) -> tuple[Region, ...]:
    """Regions as they stand: the viewer tells them once, when they change."""
    kept: dict[str, tuple[Region, ...]] = st.session_state.setdefault(_REGIONS, {})
    if reader.regions is not None and reader.marked_record == record.digest:
        kept[record.digest] = reader.regions
    return kept.get(record.digest, ())


def overview() -> None:
    """All feedback, for the operator: counts by target and map, and the answers as CSV."""
    if not is_operator():
        st.caption(":material/lock: Only the operator of this server sees the feedback of others.")
        return
    try:
        answers = _store().frame()
    except EcgXaiError as error:
        frame.refused(error)
        return
    if answers.empty:
        st.caption("No feedback yet. It is asked for under every explanation.")
        return
    table = summary(answers)
    table["target"] = [target_name(code) for code in table["target"]]
    frame.table(table, "feedback-summary", "feedback_summary.csv")
    frame.table(answers, "feedback-answers", "feedback.csv")
