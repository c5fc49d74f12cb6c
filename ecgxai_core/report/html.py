"""HTML building blocks of reports; all external text is escaped here.

A report contains no scripts and loads nothing. Its content security policy forbids both, so text
could not run as code even if it were not escaped.
"""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Html",
    "code_block",
    "definitions",
    "document",
    "frame_table",
    "image",
    "join",
    "number",
    "paragraph",
    "section",
    "shown",
    "table",
    "table_of_cells",
    "text",
]

Html = NewType("Html", str)
"""Markup made here; anything else is text and must pass through :func:`text`."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_STYLE = files("ecgxai_core.report").joinpath("report.css").read_text("utf-8")


def text(value: object) -> Html:
    """Escaped text; control characters are replaced by spaces."""
    plain = "".join(c if c.isprintable() or c in "\n\t" else " " for c in str(value))
    return Html(html.escape(plain, quote=True))


def number(value: object, digits: int = 3) -> str:
    """A formatted number; undefined values are a dash, never zero."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, float | int):
        return str(value)
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def join(parts: Iterable[Html]) -> Html:
    """Concatenate parts."""
    return Html("\n".join(parts))


def paragraph(value: object, kind: str = "") -> Html:
    """A paragraph of plain text."""
    return Html(f'<p class="{text(kind)}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>")


def section(title: str, *parts: Html, folded: bool = False) -> Html:
    """A section with a heading; a folded section opens with a click."""
    inner = join(parts)
    if folded:
        return Html(f"<details><summary>{text(title)}</summary>\n{inner}\n</details>")
    return Html(f"<section><h2>{text(title)}</h2>\n{inner}\n</section>")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Html:
    """A table; numeric columns are right-aligned."""
    listed = [list(row) for row in rows]
    right = [bool(listed) and all(_numeric(row[i]) for row in listed) for i in range(len(columns))]
    kinds = [' class="number"' if yes else "" for yes in right]

    def cells(row: Sequence[object]) -> list[str]:
        pairs = zip(row, kinds, strict=True)
        return [f"<td{kind}>{text(number(cell))}</td>" for cell, kind in pairs]

    return table_of_cells(columns, map(cells, listed), kinds, caption)


def table_of_cells(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    kinds: Sequence[str] | None = None,
    caption: str = "",
) -> Html:
    """A table of cells that are markup (``<td>``); ``kinds`` are attributes of the headings."""
    named = zip(columns, kinds or [""] * len(columns), strict=True)
    head = "".join(f'<th scope="col"{kind}>{text(name)}</th>' for name, kind in named)
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    return Html(
        f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def frame_table(frame: pd.DataFrame, most: int | None = None) -> Html:
    """The first rows of a data frame as a table."""
    rows = frame.head(most or len(frame)).itertuples(index=False, name=None)
    return table([str(column) for column in frame.columns], rows)


def _numeric(value: object) -> bool:
    return value is None or (isinstance(value, float | int) and not isinstance(value, bool))


def definitions(values: Mapping[str, object]) -> Html:
    """A definition list of names and values."""
    rows = "".join(f"<dt>{text(k)}</dt><dd>{text(number(v))}</dd>" for k, v in values.items())
    return Html(f"<dl>{rows}</dl>")


def code_block(value: str) -> Html:
    """Preformatted text, for commands and parameters."""
    return Html(f"<pre>{text(value)}</pre>")


def image(svg: bytes, alt: str, caption: str = "") -> Html:
    """An embedded SVG image, which cannot run scripts."""
    data = base64.b64encode(svg).decode("ascii")
    words = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return Html(
        f'<figure><img alt="{text(alt)}" src="data:image/svg+xml;base64,{data}">{words}</figure>'
    )


def document(title: str, *parts: Html, policy: str = _POLICY) -> str:
    """A complete page with the research-use banner at the top."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        '<div class="banner" role="note">For research use only. Not a medical device; not for '
        "diagnosis or treatment.</div>\n<main>\n"
        f"<h1>{text(title)}</h1>\n{join(parts)}\n</main></body></html>\n"
    )


def shown(value: Any) -> str:
    """A plain value as text for a table."""
    if isinstance(value, list | tuple):
        return ", ".join(shown(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(part)}" for key, part in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    return "–" if value is None else str(value)
