"""The page of its own: it holds everything, loads nothing, and no text in it can become markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

from ecgxai_core.viewer import Start, Words, html, javascript, payload, stylesheet
from tests.browser.viewer_page import attribution, record

NASTY = "</script><img src=x onerror=alert(1)>&\"'<!--"


class Elements(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.open = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = tag

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        if self.open in ("script", "style"):
            self.inside.append((self.tags[-1], data))


def page(title="Record R00", words=None, record_id=""):
    data = payload(
        record(), {"occlusion": attribution("R00", "occlusion")}, words=words,
        start=Start(record_id=record_id),
    )  # fmt: skip
    return html(data, title)


def test_it_allows_nothing_but_its_own_script_and_style():
    found = Elements(page())
    policy = next(a["content"] for t, a in found.tags if a.get("http-equiv"))
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for kind, directive in (("script", "script-src"), ("style", "style-src")):
        texts = [
            text for (tag, attributes), text in found.inside
            if tag == kind and attributes.get("type") != "application/json"
        ]  # fmt: skip
        digest = base64.b64encode(hashlib.sha256("".join(texts).encode()).digest()).decode()
        assert rules[directive] == f"'sha256-{digest}'"


def test_it_names_no_address():
    text = page()
    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text.replace("// ", ""))
    tags = {tag for tag, _ in Elements(text).tags}
    assert tags.isdisjoint({"link", "img", "iframe", "object", "embed", "form", "base"})


def test_no_text_becomes_markup():
    words = Words(record=NASTY, target=NASTY, sentence=NASTY, notes=(NASTY,),
                  maps={"occlusion": NASTY})  # fmt: skip
    plain, nasty = Elements(page()), Elements(page(NASTY, words, NASTY))
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in nasty.tags]


def test_the_payload_comes_back_as_it_was():
    words = Words(sentence=NASTY)
    data = payload(record(), words=words)
    found = re.search(r'id="payload">(.*?)</script>', html(data, "r"), re.DOTALL)
    assert found is not None
    assert json.loads(found.group(1)) == json.loads(json.dumps(data))


def test_the_same_payload_gives_the_same_page():
    assert page() == page()


def test_without_scripts_the_sentence_can_be_read():
    text = page(words=Words(sentence="The evidence lies in V1."))
    assert "<p>The evidence lies in V1.</p>" in text
    assert "For research use only" in text


def test_the_script_writes_no_markup_and_loads_nothing():
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\bfetch\b|"
        r"XMLHttpRequest|WebSocket|\bimport\b\s*[({\"']|localStorage|sessionStorage|cookie"
    )
    code = re.sub(r"/\*.*?\*/", "", javascript(), flags=re.DOTALL)
    assert re.findall(forbidden, code) == []
    assert "@import" not in stylesheet()
    assert "url(" not in stylesheet()


def test_every_file_says_what_it_is_for():
    heads = re.findall(r"^/\* (\w+)\.js: ", javascript(), flags=re.MULTILINE)
    assert heads == [
        "state",
        "lab",
        "paper",
        "trace",
        "map",
        "strip",
        "calipers",
        "keys",
        "bar",
        "main",
    ]


def test_the_component_text_is_no_path():
    """Streamlit takes a text without line breaks for the path of a file."""
    assert "\n" in javascript()
    assert "\n" in stylesheet()
