"""``ecgxai what-if``: what the model says of a changed record."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import say, show_table
from ecgxai_core.errors import ParameterError

__all__ = ["what_if"]

MOST_SIZES = 200


def what_if(
    record: Annotated[Path, typer.Argument(help="the record to be changed")],
    model: options.ModelOption,
    target: Annotated[str, typer.Option("--target", help="SNOMED-CT code or abbreviation")],
    edit: Annotated[
        str, typer.Option("--edit", help="what is changed, such as pr, qrs, st_level; see docs/cli")
    ],
    sizes: Annotated[
        str, typer.Option("--sizes", help="how much, in the edit's unit: -20,0,20 or FROM:TO:STEP")
    ],
    lead: Annotated[
        list[str] | None, typer.Option("--lead", help="a lead to change; repeat; all if left out")
    ] = None,
    span: Annotated[
        str | None, typer.Option("--span", help="FROM:TO in seconds; the whole record if left out")
    ] = None,
    swap: Annotated[
        str, typer.Option("--swap", help="with --edit swap: electrodes, such as RA-LA or V1-V2")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file to write, with every class")
    ] = None,
    start: options.StartOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Change one thing of a record, by several sizes, and predict; say what flips the call."""
    from ecgxai_core.case import Case
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.pipeline.predict import checksum_policy
    from ecgxai_core.pipeline.what_if import dose_response, flips
    from ecgxai_core.records.read import read_record
    from ecgxai_core.simulation.edits import EDITS, Place
    from ecgxai_core.store.atomic import write_csv_atomic

    ecg = read_record(record, checksum=checksum_policy(checksum))
    case = Case(ecg, LazyClassifier(model), target, start)
    place = Place(tuple(lead or ()), _span(span), swap)
    found = dose_response(case, edit, _sizes(sizes), place)
    frame = found.to_frame()
    if out is not None:
        write_csv_atomic(out, frame)
    shown = frame[["size", "measured", "unusual", "refused"]].copy()
    shown.insert(1, "p", found.column(case.target))
    show_table(shown)
    limit = (case.classifier.manifest.thresholds or {}).get(case.target, 0.5)
    least = flips(case, found, limit, place)
    for size in least:
        text = f"the call (threshold {limit:.2f}) flips at {EDITS[edit].title} {size:+.3g}"
        say(f"{text} {found.unit}".rstrip())
    if not least:
        say(f"no size between these flips the call (threshold {limit:.2f})")
    if any(found.unusual):
        low, high = found.natural or (0.0, 0.0)
        say(f"unusual: outside {low:g} to {high:g}, the 1st and 99th percentile of PTB-XL")


def _sizes(text: str) -> list[float]:
    """Numbers of ``a,b,c`` or ``from:to:step``."""
    import numpy as np

    numbers = _numbers(text.replace(":", ","))
    if ":" not in text and numbers:
        return numbers
    if len(numbers) == 3 and text.count(":") == 2:
        first, last, step = numbers
        if step > 0 and 0 <= (last - first) / step <= MOST_SIZES:
            return [float(size) for size in np.arange(first, last + step / 2, step)]
    problem = "is neither numbers with commas nor FROM:TO:STEP"
    raise ParameterError("--sizes", text, problem, "write -20,0,20 or 0:100:20")


def _span(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    numbers = _numbers(text.replace(":", ","))
    if len(numbers) == 2 and 0 <= numbers[0] < numbers[1]:
        return numbers[0], numbers[1]
    raise ParameterError("--span", text, "is not FROM:TO in seconds", "write 1.5:3.0")


def _numbers(text: str) -> list[float]:
    """Finite numbers with commas between them; none where a part is no number."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []
