"""A folder of simulated records: WFDB files, each with its ground truth as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecgxai_core.errors import ParameterError, RecordError, cannot_be_written
from ecgxai_core.simulation.mechanisms import mechanism
from ecgxai_core.simulation.populations import Population
from ecgxai_core.simulation.simulate import Simulation, simulate_set
from ecgxai_core.simulation.truth import Interval, Truth, painted
from ecgxai_core.types import STANDARD_LEADS

__all__ = ["TRUTH_SUFFIX", "read_truth", "truth_document", "write_set"]

TRUTH_SUFFIX = ".truth.json"
_FORMAT = 1
_LARGEST = 20_000_000


def write_set(
    dest: str | os.PathLike[str],
    n: int,
    seed: int,
    population: Population = "demonstration",
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write :func:`simulate_set` to a folder; the same call gives the same bytes.

    Parameters
    ----------
    dest
        The folder; it is created if needed. Files of the same name are replaced.
    n, seed, population
        As in :func:`simulate_set`.
    progress
        Called with the number of records written and ``n``.

    Returns
    -------
    list[Path]
        The headers ``NAME.hea``, each with a ``NAME.truth.json``.

    Raises
    ------
    ParameterError
        ``n`` is not positive, or ``dest`` cannot be written.
    """
    from ecgxai_core.records.write import write_record

    folder = Path(dest)
    headers = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for done, simulation in enumerate(simulate_set(n, seed, population), start=1):
            record = simulation.record
            headers.append(
                write_record(
                    folder,
                    record.name,
                    record.signal,
                    record.fs,
                    record.leads,
                    labels=record.labels,
                    age=record.age,
                    sex=record.sex,
                    synthetic=True,
                    comments=(f"Mechanisms: {' '.join(simulation.mechanisms)}",),
                )
            )
            text = json.dumps(truth_document(simulation), indent=1, allow_nan=False)
            _replace(folder / f"{record.name}{TRUTH_SUFFIX}", text)
            if progress is not None:
                progress(done, n)
    except OSError as error:
        problem = cannot_be_written(folder / "records", error)
        raise ParameterError("simulate", folder.name, problem, "choose another folder") from None
    return headers


def _replace(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text + "\n", encoding="ascii")
    part.replace(path)


def truth_document(simulation: Simulation) -> dict[str, Any]:
    """All that is known about a simulated record except its signal, as plain JSON values."""
    record, waves = simulation.record, simulation.waves

    def seconds(values: Any) -> list[float | None]:
        return [round(float(v), 6) if math.isfinite(v) else None for v in values]

    return {
        "format": _FORMAT,
        "record": record.name,
        "synthetic": True,
        "fs": record.fs,
        "samples": record.n_samples,
        "mechanisms": [
            {"name": name, "code": mechanism(name).code} for name in simulation.mechanisms
        ],
        "labels": list(record.labels or ()),
        "asked": list(simulation.asked),
        "intervals": [
            {
                "leads": list(i.leads),
                "start": round(i.start, 6),
                "stop": round(i.stop, 6),
                "mechanism": i.mechanism,
                "role": i.role,
            }
            for i in simulation.truth.intervals
        ],
        "beats": list(waves.kind),
        "waves": {name: seconds(getattr(waves, name)) for name in waves.names()},
        "parameters": dict(simulation.parameters),
    }


def read_truth(path: str | os.PathLike[str]) -> Truth:
    """Read the truth that :func:`write_set` wrote.

    Raises
    ------
    RecordError
        The file is missing, too large, not JSON, or violates the format.
    """
    file = Path(path)
    fix = "write the set again with `ecgxai simulate`"
    try:
        if file.stat().st_size > _LARGEST:
            raise RecordError(file.name, "size", f"more than {_LARGEST} bytes", fix)
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(file.name, "", error.strerror or "cannot be read", fix) from None
    except (ValueError, RecursionError):
        raise RecordError(file.name, "", "is not JSON", fix) from None
    try:
        return _truth(document)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(file.name, "truth", f"violates the format: {error}", fix) from None


def _truth(document: Any) -> Truth:
    """Check the document and build the truth; faults are ``Key-``, ``Type-`` or ``ValueError``."""
    if not isinstance(document, dict) or document["format"] != _FORMAT:
        raise ValueError(f"format {_FORMAT} expected")
    fs, n = float(document["fs"]), int(document["samples"])
    if not (math.isfinite(fs) and 1 <= fs <= 100_000 and 1 <= n <= 100_000_000):
        raise ValueError("fs or samples out of bounds")
    intervals = []
    for item in document["intervals"]:
        leads = tuple(str(lead) for lead in item["leads"])
        start, stop = float(item["start"]), float(item["stop"])
        if not set(leads) <= set(STANDARD_LEADS):
            raise ValueError(f"unknown lead in {leads}")
        if not 0 <= start < stop <= n / fs + 1e-6:
            raise ValueError(f"interval [{start}, {stop}] lies outside the record")
        if item["role"] not in ("primary", "secondary"):
            raise ValueError(f"unknown role {item['role']}")
        intervals.append(Interval(leads, start, stop, str(item["mechanism"]), item["role"]))
    asked = {str(name) for name in document["asked"]}
    primary = [i for i in intervals if i.role == "primary" and i.mechanism in asked]
    return Truth(painted(primary, n, fs), tuple(intervals), fs)
