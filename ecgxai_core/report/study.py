"""The report of a blinded study: its tables, and what DECIDE-AI asks for, ready to fill in.

DECIDE-AI: Vasey et al., BMJ 2022;377:e070904. The items are given in our own short words; the
guideline itself explains each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ecgxai_core.report import html
from ecgxai_core.study.analysis import Analysis
from ecgxai_core.study.frozen import Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DECIDE_AI", "study_html"]

DECIDE_AI: tuple[tuple[str, str, str], ...] = (
    ("1", "Title", "say that this is an early clinical evaluation of AI decision support, and of "
     "which problem"),
    ("2a", "Intended use", "the condition and problem, today's practice, the intended patients"),
    ("2b", "Intended use", "the intended users, the place in the care pathway, the hoped-for "
     "impact"),
    ("3a", "Participants", "how patients were found, who was in and who out, how many and why"),
    ("3b", "Participants", "how users were found, who was in and who out, how many and why"),
    ("3c", "Participants", "how users were made familiar with the system"),
    ("4a", "AI system", "version and kind of algorithm, the data it was trained on, its earlier "
     "validation"),
    ("4b", "AI system", "input data: acquisition, entry, preprocessing, missing or poor data"),
    ("4c", "AI system", "outputs, and how users saw them"),
    ("5a", "Implementation", "the setting of the evaluation"),
    ("5b", "Implementation", "the workflow: when the system is used, who decides and how"),
    ("6a", "Safety and errors", "how significant errors and malfunctions were defined and found"),
    ("6b", "Safety and errors", "how risks to patients and harm were found and kept small"),
    ("7", "Human factors", "tools, methods and frameworks used, use cases, users involved"),
    ("8", "Ethics", "methods used towards an ethical goal, such as fairness, and why"),
    ("9a", "Participants (results)", "characteristics of the patients, missing input data"),
    ("9b", "Participants (results)", "characteristics of the users"),
    ("10a", "Implementation (results)", "exposure to the system, number of uses, adherence to the "
     "intended use"),
    ("10b", "Implementation (results)", "changes to the workflow that the system brought"),
    ("11", "Modifications", "changes to the system or its platform during the study"),
    ("12", "Human-computer agreement", "how often users agreed with the system, why they did not, "
     "and when they changed their mind"),
    ("13a", "Safety and errors (results)", "significant errors and malfunctions, with causes"),
    ("13b", "Safety and errors (results)", "risks to patients and harm that were seen"),
    ("14a", "Human factors (results)", "usability"),
    ("14b", "Human factors (results)", "learning curves of the users"),
    ("15", "Support for intended use", "whether the results support the intended use"),
    ("16", "Safety and errors (discussion)", "what the results say of safety, and what to do about "
     "it"),
    ("17", "Data availability", "whether and how data and code can be had"),
)  # fmt: skip
"""Number, theme and what is asked of each AI-specific item."""


def study_html(study: Study, analysis: Analysis) -> str:
    """Self-contained HTML; the same study and answers give the same bytes."""
    tables = [html.section(title, _table(table)) for title, table in analysis.tables.items()]
    note = (
        "Intervals resample cases with all that was said of them; they say nothing of other "
        "raters, and are left out below ten cases or where all values are the same. p_holm is "
        "corrected for the number of tests in its table. Second showings of repeated cases count "
        "in the table of repeated cases only."
    )
    return html.document(
        f"{study.protocol.title}: a blinded study",
        html.section("The study", html.definitions(_facts(study, analysis))),
        html.section("Results", html.paragraph(note, "note"), *tables),
        html.section("DECIDE-AI, items 1 to 17", *_decide_ai(study, analysis)),
    )


def _table(table: pd.DataFrame) -> html.Html:
    return html.frame_table(table) if len(table) else html.paragraph("No answers.")


def _facts(study: Study, analysis: Analysis) -> dict[str, object]:
    answers, protocol = analysis.answers, study.protocol
    known = [case for case in study.cases if case.reference is not None]
    simulated = sum(case.synthetic for case in study.cases)
    return {
        "cases": len(study.cases),
        "simulated records": simulated,
        "with a known reference diagnosis": len(known),
        "of these, model right": sum(case.model_right is True for case in known),
        "raters": len(protocol.raters),
        "arms": ", ".join(protocol.arms),
        "repeated cases": protocol.repeated,
        "showings answered whole": f"{int(answers['complete'].sum())} of {len(study.showings)}",
        "model": f"{study.model['name']} {study.model['digest']}",
        "software": study.software,
        "digest of the study": study.digest,
    }


def _decide_ai(study: Study, analysis: Analysis) -> list[html.Html]:
    known = _prefilled(study, analysis)
    rows = [
        (
            f"<td>{html.text(number)}</td>",
            f"<td><b>{html.text(theme)}</b><small>{html.text(asks)}</small></td>",
            f'<td contenteditable="true">{html.text(known.get(number, ""))}</td>',
        )
        for number, theme, asks in DECIDE_AI
    ]
    note = "Click into the last column to write; save the page in the browser to keep it."
    return [html.paragraph(note, "note"), html.table_of_cells(("item", "asks", "answer"), rows)]


def _prefilled(study: Study, analysis: Analysis) -> Mapping[str, str]:
    """What the study itself knows of an item; people complete it."""
    answers, protocol = analysis.answers, study.protocol
    names = ", ".join(sorted({study.diagnoses[case.target] for case in study.cases}))
    raters = answers.drop_duplicates("rater")[["rater", "role", "years"]].to_dict("records")
    about = "; ".join(
        f"{one['rater']}: {one['role'] or 'role not given'}, {html.number(one['years'], 0)} years"
        for one in raters
    )
    whole = f"{int(answers['complete'].sum())} of {len(study.showings)} showings"
    harm = int(answers["harm"].eq(True).sum())
    simulated = sum(case.synthetic for case in study.cases)
    over = analysis.tables["Reliance on the model"]
    relied = over[(over["arm"] == "all") & (over["stage"] == "map")]
    return {
        "1": protocol.title,
        "2a": f"Diagnoses: {names}.",
        "3a": f"{len(study.cases)} records, {simulated} of them simulated.",
        "3b": f"{len(protocol.raters)} raters.",
        "3c": protocol.instructions,
        "4a": f"{study.model['name']}, digest {study.model['digest'][:12]}; see its card.",
        "4c": "The ECG alone, then the target's probability and call, then a map on the ECG; arms: "
        f"{', '.join(protocol.arms)}.",
        "5b": "Four steps: ECG alone, prediction, map, ratings; no way back; the rater decides.",
        "6b": "Raters could flag that acting on what was shown could harm a patient.",
        "9a": f"{sum(case.reference is not None for case in study.cases)} of {len(study.cases)} "
        "records have a known reference diagnosis.",
        "9b": about,
        "10a": f"{whole} answered whole.",
        "11": f"None: the study is frozen (digest {study.digest[:12]}, software {study.software}).",
        "12": "; ".join(
            f"{row['kind']} {html.number(row['share'])} (n = {row['n']}, "
            f"{html.number(row['low'])} to {html.number(row['high'])})"
            for row in relied[relied["n"] > 0].to_dict("records")
        ),
        "13b": f"Harm flagged in {harm} showings of {whole.partition(' ')[0]}.",
    }
