"""The answer on Explain quotes the what-if that fits the target, where the target is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.conftest import open_page, settle, texts
from tests.app.evaluated import viewers
from tests.small import AF, SINUS

Folders = Callable[..., Path]


@pytest.mark.parametrize(
    ("target", "threshold", "quoted"),
    [(SINUS, 0.0, True), (SINUS, 1.0, False), (AF, 0.0, False)],
    ids=["called", "not called", "a regular rhythm"],
)
def test_the_answer_quotes_the_what_if(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, target: str, threshold: float, quoted: bool
) -> None:
    folders()
    monkeypatch.setattr("app.data.services.threshold", lambda *_: threshold)
    app = open_page("explain", record="T001", target=target)
    assert "Removing the P waves" not in texts(app), "nothing is computed by the page itself"
    next(b for b in app.button if b.label.startswith("Explain with")).click().run()
    app = settle(app)
    assert not app.exception
    assert "Evidence for: " in texts(app).replace("\\", "")
    sentence = "Removing the P waves "
    assert (sentence in texts(app)) is quoted
    (shown,) = viewers(app)
    assert (sentence in shown["sentence"]) is quoted, "in the text alternative too"
