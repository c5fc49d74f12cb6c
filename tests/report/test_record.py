"""The report of a record: everything is in it, nothing of it can run, the same bytes every time."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from ecgxai_core.report import Checklist, record_report
from ecgxai_core.report.checklist import CHECKLIST
from ecgxai_core.report.record import caption_of


class Tags(HTMLParser):
    """Tags that a browser would see, and whether they close."""

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


def test_texts_of_files_are_shown_as_text(facts):
    text = record_report(facts)
    tags = parsed(text)
    assert "script" not in tags.seen
    assert tags.seen.count("title") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;script&gt;alert(3)&lt;/script&gt;" in text
    assert "lead &lt;b&gt;V1&lt;/b&gt; is flat" in text


def test_nothing_is_loaded_and_nothing_may_run(facts):
    text = record_report(facts)
    assert "default-src 'none'" in text
    assert "script-src" not in text
    assert all(link.startswith("data:image/svg+xml;base64,") for link in parsed(text).links)


def test_it_says_what_a_reader_needs(facts):
    text = record_report(facts)
    assert "simulated: not a patient" in text
    assert facts.record.digest in text
    assert "m" * 64 in text
    assert "--profile default" in text
    assert "sees 80 ms at a time" in text
    assert "sees 6 s of the 7.0 s" in text
    assert re.search(r"0\.812.*0\.500.*0\.500.*0\.950", text)
    assert "were not explored" in text


def test_an_undefined_score_is_a_dash(facts):
    row = next(r for r in record_report(facts).split("<tr>") if "Deletion: random minus map" in r)
    assert "nan" not in row
    assert "–" in row


def test_the_threshold_of_the_manifest_decides(facts):
    before = record_report(facts)
    manifest = facts.manifest.updated(thresholds={facts.target: 0.95})
    after = record_report(replace(facts, manifest=manifest))
    rows = [next(r for r in t.split("<tr>") if "explained below" in r) for t in (before, after)]
    assert ">yes</td>" in rows[0]
    assert "<td>no</td><td>yes</td>" in rows[1]


def test_same_facts_same_bytes(facts):
    assert record_report(facts) == record_report(facts)


def test_a_record_that_is_not_explained_has_its_trace(facts):
    text = record_report(replace(facts, maps={}, scores=[]))
    assert "Not explained yet" in text
    assert parsed(text).seen.count("img") == 1


def test_the_checklist_is_saved_with_it(facts):
    answers = {CHECKLIST[0].name: "yes"}
    remarks = {CHECKLIST[0].name: "see <em>lead II</em>"}
    text = record_report(replace(facts, checklist=Checklist(answers, remarks, "note", "A. Reader")))
    assert CHECKLIST[0].question in text
    assert "see &lt;em&gt;lead II&lt;/em&gt;" in text
    assert "Not every question has been answered" in text
    assert "A. Reader" in text


def test_a_page_warns_of_simulation_first(facts):
    assert "Simulated" in caption_of(facts, facts.maps["fused"], "Fused map").warnings[0]


def test_measured_intervals_stand_beside_their_normal_range(facts):
    text = record_report(facts)
    rows = text.split("<tr>")
    rate = next(row for row in rows if "heart rate" in row)
    assert re.search(r"8[01] 1/min", rate)
    assert "50 to 100" in rate
    assert "within" in rate
    flat = replace(facts.record, signal=0 * facts.record.signal)
    text = record_report(replace(facts, record=flat, maps={}, scores=[]))
    assert text.count("not measurable") >= 5
    assert "nan" not in text.split("Measured intervals")[1].split("</section>")[0]
