"""The ECG viewer: a record and its maps on ECG paper in a browser, free of Streamlit.

>>> from ecgxai_core.viewer import Words, html, payload
>>> data = payload(record, {"timeshap": attribution}, words=Words(sentence="..."))
>>> Path("record.html").write_text(html(data, record.name), "utf-8")
"""

from ecgxai_core.viewer.page import html, javascript, stylesheet
from ecgxai_core.viewer.payload import Context, Expected, Lab, Map, Start, Words, payload

__all__ = [
    "Context",
    "Expected",
    "Lab",
    "Map",
    "Start",
    "Words",
    "html",
    "javascript",
    "payload",
    "stylesheet",
]
