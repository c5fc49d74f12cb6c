"""The report of a record is complete, cannot run code, and is reproducible."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from ecgxai_core.params import profile_with
from ecgxai_core.report import Checklist, record_report
from ecgxai_core.report.checklist import CHECKLIST
from ecgxai_core.report.record import caption_of
from ecgxai_core.types import told_apart


class Tags(HTMLParser):
    """The tags of a page, and whether they are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return tags


def test_texts_from_files_are_escaped(facts):
    text = record_report(facts)
    tags = parsed(text)
    assert "script" not in tags.seen
    assert tags.seen.count("title") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;script&gt;alert(3)&lt;/script&gt;" in text
    assert "lead &lt;b&gt;V1&lt;/b&gt; is flat" in text


def test_nothing_is_loaded_and_scripts_are_forbidden(facts):
    text = record_report(facts)
    assert "default-src 'none'" in text
    assert "script-src" not in text
    assert all(link.startswith("data:image/svg+xml;base64,") for link in parsed(text).links)


def test_the_report_has_digests_scores_and_limits_of_the_model(facts):
    text = record_report(facts)
    assert "simulated: not a patient" in text
    assert facts.record.digest in text
    assert "m" * 64 in text
    assert "--profile default" in text
    assert "receptive field is 80 ms" in text
    assert "input is 6 s of the 7.0 s" in text
    assert re.search(r"0\.812.*0\.500.*0\.500.*0\.950", text)
    assert "were not explored" in text


def test_the_command_names_the_file_that_was_read(facts):
    record = replace(facts.record, name="ecg", file="ecg.dcm")
    assert "ecgxai report ecg.dcm --model" in record_report(replace(facts, record=record))


def test_an_undefined_score_is_a_dash(facts):
    row = next(r for r in record_report(facts).split("<tr>") if "Deletion: random minus map" in r)
    assert "nan" not in row
    assert "–" in row


def test_predictions_use_the_threshold_of_the_manifest(facts):
    before = record_report(facts)
    manifest = facts.manifest.updated(thresholds={facts.target: 0.95})
    after = record_report(replace(facts, manifest=manifest))
    rows = [next(r for r in t.split("<tr>") if "explained below" in r) for t in (before, after)]
    assert ">yes</td>" in rows[0]
    assert "<td>no</td><td>yes</td>" in rows[1]


def test_a_probability_just_below_its_threshold_is_not_written_as_equal(facts):
    p = facts.prediction.probability(facts.target)
    manifest = facts.manifest.updated(thresholds={facts.target: p + 0.0004})
    known = replace(facts, manifest=manifest)
    said, limit = told_apart(p, p + 0.0004)
    assert said != limit
    text = record_report(known)
    assert f"probability {said}, called absent (threshold {limit})" in text
    row = next(r for r in text.split("<tr>") if "explained below" in r)
    assert f">{said}</td>" in row
    assert f">{limit}</td>" in row


def test_the_same_facts_give_the_same_bytes(facts):
    assert record_report(facts) == record_report(facts)


def test_the_report_of_an_unexplained_record_shows_the_trace(facts):
    text = record_report(replace(facts, maps={}, scores=[]))
    assert "Not explained yet" in text
    assert parsed(text).seen.count("img") == 1


def test_the_report_contains_the_checklist(facts):
    answers = {CHECKLIST[0].name: "yes"}
    remarks = {CHECKLIST[0].name: "see <em>lead II</em>"}
    text = record_report(replace(facts, checklist=Checklist(answers, remarks, "note", "A. Reader")))
    assert CHECKLIST[0].question in text
    assert "see &lt;em&gt;lead II&lt;/em&gt;" in text
    assert "Some questions have not been answered" in text
    assert "A. Reader" in text


def test_the_first_warning_on_a_page_is_simulation(facts):
    assert "Simulated" in caption_of(facts, facts.maps["fused"], "Fused map").warnings[0]


def test_measured_intervals_are_listed_with_their_normal_range(facts):
    text = record_report(facts)
    rows = text.split("<tr>")[1:]
    rate = next(row for row in rows if "heart rate" in row)
    assert re.search(r"8[01] 1/min", rate)
    assert "50 to 100" in rate
    assert "within" in rate
    flat = replace(facts.record, signal=0 * facts.record.signal)
    text = record_report(replace(facts, record=flat, maps={}, scores=[]))
    assert text.count("not measurable") >= 5
    assert "nan" not in text.split("Measured intervals")[1].split("</section>")[0]


def test_criteria_of_the_diagnosis_stand_beside_what_was_measured(facts):
    page = record_report(facts)
    assert "Criteria of the diagnosis" in page
    assert "Irregular RR intervals" in page
    assert "even map" in page
    child = record_report(replace(facts, record=replace(facts.record, age=9.0)))
    assert "the patient is 9 years old" in child
    assert "Irregular RR intervals" not in child


def test_a_page_says_of_whom_it_is_and_on_what_the_map_rests(facts):
    record = replace(facts.record, age=63.0, sex="female")
    chosen = profile_with(facts.profile, ["beta=0.5"]).updated(methods=("timeshap", "occlusion"))
    known = replace(facts, record=record, profile=chosen, start=1.0)
    lines = caption_of(known, facts.maps["fused"], "Fused map").lines
    text = "\n".join(lines)
    for said in (
        "probability 0.91, called present (threshold 0.60); 63 years, female",
        "Measured: heart rate", "QRS", "QTc", "axis",
        "Fused map: Evidence for: ", "Top leads: " + ", ".join(facts.maps["fused"].top_leads),
        "profile default, changed: beta 0.5; methods timeshap, occlusion; window from 1 s",
    ):  # fmt: skip
        assert said in text
    page = record_report(known)
    assert "63 years, female" in page
    assert "changed: beta 0.5" in page
    unknown = caption_of(facts, None, "trace").lines
    assert "age unknown, sex unknown" in unknown[0]
    assert unknown[2] == "Plain trace, no map"
    assert unknown[3].endswith("profile default"), "nothing was changed"
