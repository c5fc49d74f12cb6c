"""The viewer's own files as text, and a page of its own that needs no network.

``js/`` is vanilla JavaScript without a build step: the files are put one after the other into one
module, whose default export mounts a viewer. The same text runs as a Streamlit component and in
:func:`html`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any

__all__ = ["html", "javascript", "stylesheet"]

_PARTS = ("state", "lab", "paper", "trace", "map", "strip", "calipers", "keys", "bar", "main")
_BANNER = "For research use only. Not a medical device; not for diagnosis or treatment."


@lru_cache(maxsize=1)
def javascript() -> str:
    """The viewer as one JavaScript module; its default export takes Streamlit's component API."""
    return "\n".join(_file(f"js/{part}.js") for part in _PARTS)


@lru_cache(maxsize=1)
def stylesheet() -> str:
    """The viewer's style sheet; every rule is limited to ``.ecg``."""
    return _file("viewer.css")


def html(payload: Mapping[str, Any], title: str) -> str:
    """One self-contained page that shows a payload: it loads nothing and works without a network.

    Its content security policy is ``default-src 'none'``, with the hashes of its own script and
    style sheets; so no text of the payload could run or load anything, even if it were markup.
    Nothing of the payload is written as markup. Without scripts the page shows the sentence.

    Parameters
    ----------
    payload
        What :func:`ecgxai_core.viewer.payload` returns.
    title
        Heading of the page, plain text.
    """
    script = javascript() + "\n" + _file("js/page.js")
    style = _file("page.css") + "\n" + stylesheet()
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = json.dumps(payload, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n<body>\n"
        f'<div class="banner" role="note">{_BANNER}</div>\n<h1>{escape(title)}</h1>\n'
        f"<p>{escape(str(payload.get('sentence', '')))}</p>\n"
        '<main id="viewer"></main>\n'
        f'<script type="application/json" id="payload">{data}</script>\n'
        f'<script type="module">{script}</script>\n</body></html>\n'
    )


def _hash(text: str) -> str:
    """Source expression of an inline script or style sheet (Content Security Policy level 2)."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _file(name: str) -> str:
    return files("ecgxai_core.viewer").joinpath(name).read_text("utf-8")
