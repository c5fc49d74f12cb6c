"""The few HTML parts that reports are made of; every text that comes from outside is escaped here.

A report holds no script and loads nothing: its content security policy forbids both, so even a text
that escaped escaping could not run.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NewType

__all__ = [
    "Html",
    "code_block",
    "definitions",
    "document",
    "image",
    "join",
    "number",
    "paragraph",
    "section",
    "shown",
    "table",
    "text",
]

Html = NewType("Html", str)
"""Markup made here; anything else is text and must go through :func:`text`."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --muted: #5d6670; --line: #d9dde2;
  --soft: #f3f5f7; --accent: #0b5d7a; --warn: #8a4b00; --warn-soft: #fff4e0; --page: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --muted: #a0a7b0; --line: #363b42;
  --soft: #1e2329; --accent: #5fb4d4; --warn: #ffc46b; --warn-soft: #33270f; --page: #14171b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 2.5rem) 4rem; max-width: 76rem;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: var(--ink);
  background: var(--page); overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .6rem 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; } p.muted, figcaption, .note { color: var(--muted); }
.banner { background: var(--warn-soft); color: var(--warn); padding: .5rem .8rem;
  border-left: 4px solid currentColor; font-weight: 600; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: .35rem; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { font-weight: 600; color: var(--muted); white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
figure { margin: .8rem 0 1.4rem; } figure img { width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); display: block; } figcaption { font-size: .9rem; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .15rem 1.2rem; }
dt { color: var(--muted); } dd { margin: 0; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; white-space: pre-wrap;
  font: .85rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--accent); }
@media (max-width: 32rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11px; } h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; } }
"""


def text(value: object) -> Html:
    """Any text as it is: markup in it is shown, control characters are left out."""
    plain = "".join(c if c.isprintable() or c in "\n\t" else " " for c in str(value))
    return Html(html.escape(plain, quote=True))


def number(value: object, digits: int = 3) -> str:
    """A number for people; what is undefined is a dash, never a zero."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, float | int):
        return str(value)
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def join(parts: Iterable[Html]) -> Html:
    """Parts one after the other."""
    return Html("\n".join(parts))


def paragraph(value: object, kind: str = "") -> Html:
    """A paragraph of plain text."""
    return Html(f'<p class="{text(kind)}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>")


def section(title: str, *parts: Html, folded: bool = False) -> Html:
    """A headed part; folded parts open with a click, and are all open on paper."""
    inner = join(parts)
    if folded:
        return Html(f"<details><summary>{text(title)}</summary>\n{inner}\n</details>")
    return Html(f"<section><h2>{text(title)}</h2>\n{inner}\n</section>")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "", digits: int = 3
) -> Html:
    """A table; numbers stand right."""
    listed = [list(row) for row in rows]
    right = [bool(listed) and all(_numeric(row[i]) for row in listed) for i in range(len(columns))]
    kinds = [' class="number"' if yes else "" for yes in right]
    head = "".join(
        f'<th scope="col"{kind}>{text(name)}</th>'
        for name, kind in zip(columns, kinds, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{text(number(cell, digits))}</td>"
            for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in listed
    )
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    return Html(
        f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _numeric(value: object) -> bool:
    return value is None or (isinstance(value, float | int) and not isinstance(value, bool))


def definitions(values: Mapping[str, object]) -> Html:
    """Names and what they are."""
    rows = "".join(f"<dt>{text(k)}</dt><dd>{text(number(v))}</dd>" for k, v in values.items())
    return Html(f"<dl>{rows}</dl>")


def code_block(value: str) -> Html:
    """Text with its line breaks, for commands and parameters."""
    return Html(f"<pre>{text(value)}</pre>")


def image(svg: bytes, alt: str, caption: str = "") -> Html:
    """An SVG picture inside the file; nothing in it can run."""
    data = base64.b64encode(svg).decode("ascii")
    words = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return Html(
        f'<figure><img alt="{text(alt)}" src="data:image/svg+xml;base64,{data}">{words}</figure>'
    )


def document(title: str, *parts: Html, policy: str = _POLICY, style: str = _STYLE) -> str:
    """A whole page with the research-use banner on top."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style></head>\n<body>\n"
        '<div class="banner" role="note">For research use only. Not a medical device; not for '
        "diagnosis or treatment.</div>\n<main>\n"
        f"<h1>{text(title)}</h1>\n{join(parts)}\n</main></body></html>\n"
    )


def shown(value: Any) -> str:
    """Any plain value as one text for a table."""
    if isinstance(value, list | tuple):
        return ", ".join(shown(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(part)}" for key, part in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return "–" if value is None else str(value)
