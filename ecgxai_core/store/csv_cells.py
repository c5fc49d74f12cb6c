"""Texts in CSV cells that no spreadsheet takes for a formula.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end is run by spreadsheets, and
class and record names come from untrusted files (OWASP, *CSV Injection*,
https://owasp.org/www-community/attacks/CSV_Injection). Such a text is written with an apostrophe
before it, which spreadsheets show as text; so is one that would begin a cell where the semicolon
separates cells. Numbers, and texts that are plain numbers, stay as they are. A text that has an
apostrophe there already gets one more, so that :func:`original` gives every text back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["harmless", "harmless_frame", "original", "read_csv"]

_STARTS = "=+\\-@\t\r\n＝＋－＠"
_FORMULA = re.compile(rf"(^|[;\t\r\n])(?='*[{_STARTS}])")
_MARKED = re.compile(rf"(^|[;\t\r\n])'(?='*[{_STARTS}])")
_NUMBER = re.compile(r"[+-](?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,4})?", re.ASCII)


def harmless(text: str) -> str:
    """The text as it is written in a CSV cell.

    Examples
    --------
    >>> harmless("=1+1"), harmless("-1.5"), harmless("a=b")
    ("'=1+1", '-1.5', 'a=b')
    """
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub(r"\1'", text)


def original(text: str) -> str:
    """The text that :func:`harmless` was given."""
    return _MARKED.sub(r"\1", text)


def harmless_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose names and text cells are harmless; for widgets that write CSV themselves."""
    return _each_text(frame, harmless)


def read_csv(source: Any, **options: Any) -> pd.DataFrame:
    """:func:`pandas.read_csv` of a table that this program wrote, with the texts as they were."""
    import pandas as pd

    return _each_text(pd.read_csv(source, **options), original)


def _each_text(frame: pd.DataFrame, change: Any) -> pd.DataFrame:
    changed = frame.rename(columns=lambda name: change(name) if isinstance(name, str) else name)
    for position, kind in enumerate(frame.dtypes):
        if kind.kind != "O":
            continue
        column = frame.iloc[:, position]
        cells = [change(cell) if isinstance(cell, str) else cell for cell in column]
        if any(cell is not old for cell, old in zip(cells, column, strict=True)):
            changed = changed.copy(deep=False)
            changed.isetitem(position, cells)
    return changed
