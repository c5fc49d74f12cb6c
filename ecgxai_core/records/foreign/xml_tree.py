"""XML of strangers: no entities, no document type with content, bounded depth and number.

The parser is expat without any of its ways to reach other files. A file that declares an entity is
refused before the entity is used, which ends "billion laughs" and everything like it.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ecgxai_core.records.foreign.waveform import refused

__all__ = ["parse_xml", "text_of"]

MAX_DEPTH = 60
MAX_ELEMENTS = 200_000
MAX_ATTRIBUTES = 100


def parse_xml(data: bytes, where: str) -> Element:
    """The root element; names are local (without namespace), attributes too.

    Raises
    ------
    RecordError
        The file is not well-formed, declares entities, or is nested or long beyond reason.
    """
    builder = TreeBuilder()
    count = depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count, depth
        count, depth = count + 1, depth + 1
        if depth > MAX_DEPTH or count > MAX_ELEMENTS or len(attributes) > MAX_ATTRIBUTES:
            raise refused(where, "structure", "is nested too deep, or holds too many elements")
        builder.start(_local(name), {_local(key): text for key, text in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def forbidden(*_: Any) -> Any:
        raise refused(
            where, "document type", "declares or uses entities, which are not read",
            "export the ECG again, or remove the declarations",
        )  # fmt: skip

    def doctype(_name: str, _system: str | None, _public: str | None, internal: int) -> None:
        if internal:
            forbidden()

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = forbidden
    parser.UnparsedEntityDeclHandler = forbidden
    parser.ExternalEntityRefHandler = forbidden
    parser.SkippedEntityHandler = forbidden
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        line = getattr(error, "lineno", 0)
        raise refused(
            where, f"line {line}" if line else "structure", f"is not well-formed XML ({error})",
            "copy the file again, or export the ECG again",
        ) from None  # fmt: skip


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def text_of(element: Element | None, path: str = "") -> str:
    """Stripped text of an element, or of the first one below it; empty where there is none."""
    found = element.find(path) if element is not None and path else element
    return (found.text or "").strip() if found is not None else ""
