"""The manifest: a JSON file beside a model that says what the model expects and what it returns.

``cinc_resnet.json`` describes ``cinc_resnet.keras``. Nothing about sampling rate, lead order, units
or padding has a default, because a guess there gives wrong probabilities without any error; only
the steps that a model may simply not have (filter, normalisation, temperature) may be left out.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from ecgxai_core.diagnoses import code_of, is_free_name, term_of
from ecgxai_core.errors import ModelError
from ecgxai_core.params import Params
from ecgxai_core.records.files import open_regular
from ecgxai_core.store.atomic import write_bytes_atomic
from ecgxai_core.store.envelope import strict_json
from ecgxai_core.types import STANDARD_LEADS, canonical_json

__all__ = [
    "FILL_IN",
    "FilterSpec",
    "Manifest",
    "NormalisationSpec",
    "OutputNames",
    "WindowSpec",
    "class_names",
    "free_names_note",
    "load_manifest",
    "manifest_from_json",
    "manifest_path",
    "model_digest",
    "save_manifest",
]

FILL_IN = "FILL IN"
"""What a draft holds where only a person can know the value; such a manifest is refused."""

MAX_MANIFEST_BYTES = 1_000_000
SMALLEST_SCALE = 1e-6
"""Smallest scale, in units; a smaller divisor would leave nothing of the ECG."""
MAX_WINDOWS = 64
MAX_DEPTH = 8
"""Of lists and objects inside each other; a manifest has three."""

TABLE_COLUMN = "record"
"""Column of predictions beside those of the classes, so that no class can be called so."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Rate = Annotated[float, Field(ge=10, le=100_000, allow_inf_nan=False)]
Edge = Annotated[float, Field(ge=0.001, le=100_000, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
PerLead = Finite | tuple[Finite, ...]


class _Part(Params):
    """Strict types (no ``"500"`` for 500) on top of strict names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=True)


class FilterSpec(_Part):
    """Zero-phase Butterworth filter (forward and backward), at the model's sampling rate."""

    kind: Literal["bandpass", "highpass", "lowpass"] = Field(description="shape of the band")
    low: Edge | None = Field(None, description="lower edge, Hz")
    high: Edge | None = Field(None, description="upper edge, Hz")
    order: int = Field(ge=1, le=10, description="order of one pass")

    @model_validator(mode="after")
    def _edges_fit_kind(self) -> Self:
        wanted = {"bandpass": (True, True), "highpass": (True, False), "lowpass": (False, True)}
        if (self.low is not None, self.high is not None) != wanted[self.kind]:
            raise ValueError("bandpass needs low and high, highpass only low, lowpass only high")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")
        return self

    @property
    def edges(self) -> tuple[float, ...]:
        """The one or two band edges, Hz."""
        return tuple(edge for edge in (self.low, self.high) if edge is not None)


class NormalisationSpec(_Part):
    """``values = (units - mean) / scale``, after the units and before padding.

    ``per_lead`` and ``per_record`` take mean and standard deviation (population) of the samples
    that the model sees, once per record; they are then frozen, so that masking cannot move them.
    """

    kind: Literal["none", "per_lead", "per_record", "given"] = Field(description="which statistics")
    mean: PerLead | None = Field(None, description="given: a number, or one per lead, in units")
    scale: PerLead | None = Field(None, description="given: a number, or one per lead, in units")

    @model_validator(mode="after")
    def _numbers_only_when_given(self) -> Self:
        if (self.kind == "given") != (self.mean is not None and self.scale is not None):
            raise ValueError("kind 'given' needs mean and scale")
        if self.kind != "given" and (self.mean is not None or self.scale is not None):
            raise ValueError("mean and scale belong to kind 'given'")
        scale = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        if any(value is not None and value < SMALLEST_SCALE for value in scale):
            raise ValueError(f"scale must be {SMALLEST_SCALE:g} or more")
        return self


class OutputNames(_Part):
    """For a model with more than one output: which one holds the classes."""

    probability: Name = Field(description="name of the output that holds one value per class")
    attention: tuple[Name, ...] = Field((), description="names of outputs that hold attention")


class WindowSpec(_Part):
    """For a network that sees less than a record: it is applied to windows, and their answers are
    combined. Windows that hold only padding count like the others."""

    samples: int = Field(ge=1, le=10_000_000, description="length of a window, samples")
    step: int = Field(ge=1, le=10_000_000, description="from one window to the next, samples")
    combine: Literal["mean", "max"] = Field(
        description="mean or maximum of the probabilities, for each class"
    )


class Manifest(_Part):
    """What a model expects and returns."""

    classes: tuple[Name, ...] = Field(
        min_length=1,
        max_length=10_000,
        description="one per output column: SNOMED-CT codes, or names and abbreviations of the "
        "table of diagnoses, which become codes; any other name stands for itself",
    )
    fs: Rate = Field(description="sampling rate, Hz")
    samples: int = Field(
        ge=1,
        le=10_000_000,
        description="length of the input, samples; with windows, of all of them together",
    )
    windows: WindowSpec | None = Field(
        None, description="for a network that sees one window of the record at a time"
    )
    leads: tuple[Name, ...] = Field(
        min_length=1, max_length=12, description="leads in the order of the input's last axis"
    )
    units: Literal["mV", "uV", "adc"] = Field(description="unit of the input before normalisation")
    adc_gain: float | None = Field(
        None,
        ge=0.01,
        le=1e12,
        allow_inf_nan=False,
        description="units adc: counts per mV of the training data; absent = each record's own",
    )
    filter: FilterSpec | None = Field(None, description="zero-phase filter; none when absent")
    normalisation: NormalisationSpec = Field(
        NormalisationSpec(kind="none"), description="normalisation; none when absent"
    )
    pad: Literal["end_zero", "start_zero", "center_zero"] = Field(
        description="where zeros go when a record is shorter: at its end, start or both"
    )
    crop: Literal["start", "center", "end"] = Field(
        description="which part of a longer record the model sees"
    )
    output: Literal["probability", "logit", "softmax"] = Field(
        description="what the output holds; logit: each class becomes a probability by its own "
        "sigmoid; softmax: logits of classes that exclude each other, one softmax over all"
    )
    temperature: float = Field(
        1.0, ge=0.01, le=100, allow_inf_nan=False, description="divides the logit (calibration)"
    )
    source: str = Field(min_length=1, max_length=2000, description="who made it, licence, citation")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the model file")
    thresholds: dict[Name, float] | None = Field(
        None, description="probability from which a class counts as present"
    )
    receptive_field_samples: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="samples that one unit of the last layer before pooling sees",
    )
    outputs: OutputNames | None = Field(
        None, description="only for models with several outputs: their roles"
    )
    card: str | None = Field(None, max_length=200, description="file name of the model card")
    notes: str | None = Field(None, max_length=5000, description="anything a reader should know")

    @property
    def receptive_field_sec(self) -> float | None:
        """What one feature before the pooling sees, s; ``None`` = not known."""
        samples = self.receptive_field_samples
        return None if samples is None else samples / self.fs

    @property
    def reach(self) -> str:
        """What the model can see at once, as a sentence; empty where that is not stated."""
        if self.receptive_field_samples is None:
            return ""
        return (
            f"The model compares waves within {self.receptive_field_samples / self.fs:.2f} s; what "
            "needs a longer look (rhythm over several beats) it can only count, not see."
        )

    @property
    def window_starts(self) -> range:
        """First sample of each window; one window where the network sees all."""
        if self.windows is None:
            return range(1)
        return range(0, self.samples - self.windows.samples + 1, self.windows.step)

    @property
    def network_samples(self) -> int:
        """Samples that the network itself takes."""
        return self.samples if self.windows is None else self.windows.samples

    @property
    def combined_output(self) -> Literal["probability", "logit", "softmax"]:
        """What is known once the windows are combined; as :attr:`output` without windows.

        The largest logit is the logit of the largest probability; a mean is one of probabilities.
        """
        if self.windows is None or (self.output, self.windows.combine) == ("logit", "max"):
            return self.output
        return "probability"

    @field_validator("classes", "leads")
    @classmethod
    def _unique_and_printable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name, n in Counter(names).items() if n > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} occurs twice")
        bad = [name for name in names if not name.isprintable() or name != name.strip()]
        if bad:
            raise ValueError(f"{bad[0]!r} has spaces around it or unprintable characters")
        return names

    @field_validator("classes")
    @classmethod
    def _codes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        codes: dict[str, str] = {}
        for name in names:
            code = code_of(name)
            if code in codes:
                raise ValueError(f"{codes[code]!r} and {name!r} both stand for {code}")
            codes[code] = name
        if TABLE_COLUMN in codes:
            raise ValueError(f"{TABLE_COLUMN!r} is the first column of every table; rename it")
        return tuple(codes)

    @field_validator("thresholds")
    @classmethod
    def _codes_of_thresholds(cls, given: dict[str, float] | None) -> dict[str, float] | None:
        if given is None:
            return None
        codes = {code_of(name): value for name, value in given.items()}
        if len(codes) != len(given):
            raise ValueError("two thresholds stand for the same class")
        return codes

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> Self:
        unknown = [lead for lead in self.leads if lead not in STANDARD_LEADS]
        if unknown:
            known = " ".join(STANDARD_LEADS)
            raise ValueError(f"lead {unknown[0]!r} is unknown; the leads are {known}")
        if self.filter is not None and max(self.filter.edges) >= self.fs / 2:
            raise ValueError(f"filter edges must lie below half the sampling rate, {self.fs / 2:g}")
        if self.windows is not None:
            self._check_windows(self.windows)
        if self.adc_gain is not None and self.units != "adc":
            raise ValueError("adc_gain belongs to units 'adc'")
        for name in ("mean", "scale"):
            numbers = getattr(self.normalisation, name)
            if isinstance(numbers, tuple) and len(numbers) != len(self.leads):
                raise ValueError(f"normalisation.{name} needs one number, or one per lead")
        classes = set(self.classes)
        for code, value in (self.thresholds or {}).items():
            if code not in classes or not 0 <= value <= 1:
                raise ValueError(f"threshold {code!r} names no class or lies outside [0, 1]")
        return self

    def _check_windows(self, spec: WindowSpec) -> None:
        spare = self.samples - spec.samples
        if spare < 0 or spec.step > spec.samples or spare % spec.step:
            raise ValueError(
                f"windows of {spec.samples} samples, step {spec.step}, do not cover {self.samples} "
                "samples exactly, without gaps; correct samples, windows.samples or windows.step"
            )
        if len(self.window_starts) > MAX_WINDOWS:
            raise ValueError(f"at most {MAX_WINDOWS} windows are supported; take a longer step")
        if self.outputs is not None and self.outputs.attention:
            raise ValueError("attention outputs cannot be combined over windows; leave them out")

    def canonical(self) -> str:
        """One text for one manifest; absent optional fields do not appear."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))


def class_names(path: str | os.PathLike[str]) -> list[tuple[str, str, str]]:
    """What each class of a manifest stands for: (as written, code, name of the code).

    A class that the table of diagnoses does not know has its own text as code and name.

    Raises
    ------
    ModelError
        As :func:`load_manifest`.
    """
    file = Path(path)
    manifest = load_manifest(file)
    written = _read_json(file.read_bytes(), file.name)["classes"]
    return [
        (str(text), code, term_of(code).name)
        for text, code in zip(written, manifest.classes, strict=True)
    ]


def free_names_note(classes: Iterable[str]) -> str:
    """What is lost for classes that only the model names; empty where there are none."""
    free = [name for name in classes if is_free_name(name)]
    if not free:
        return ""
    which = ", ".join(repr(name) for name in free[:5]) + (", ..." if len(free) > 5 else "")
    return (
        f"not in the table of diagnoses: {which}. No evidence is expected for such a class, so its "
        "plausibility is undefined, and records are labelled with it only by the same text"
    )


def model_digest(manifest: Manifest) -> str:
    """SHA-256 over a model file (as its manifest names it) and the manifest: the model's identity
    in caches and provenance, known without loading the model."""
    return hashlib.sha256(f"{manifest.sha256}\n{manifest.canonical()}".encode()).hexdigest()


def manifest_path(model_path: str | os.PathLike[str]) -> Path:
    """``FILE.json`` beside ``FILE.keras`` or ``FILE.h5``."""
    return Path(model_path).with_suffix(".json")


def load_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ModelError
        The file is absent, is not JSON, lacks a field, has an unknown one, or was never filled in.
    """
    file = Path(path)
    if not file.exists():
        problem = "the model has no manifest, so its rate, leads, units and classes are not known"
        fix = "write one with 'ecgxai model draft FILE' and fill it in"
        raise ModelError(file.name, "", problem, fix)
    shorten = "give the manifest, not the model"
    with open_regular(file, MAX_MANIFEST_BYTES, ModelError, shorten) as (stream, size):
        data = stream.read(size)
    return manifest_from_json(data, file.name)


def manifest_from_json(data: bytes, where: str = "manifest") -> Manifest:
    """Check the text of a manifest; ``where`` names it in errors (see :func:`load_manifest`)."""
    values = _read_json(data, where)
    open_fields = sorted(_open_fields(values))
    if open_fields:
        fix = f"replace each {FILL_IN!r} by what the model was trained with"
        raise ModelError(where, ", ".join(open_fields), "the draft is not filled in", fix)
    try:
        return Manifest.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ModelError(where, name, first["msg"], _remedy(first["type"], name)) from None


def save_manifest(manifest: Manifest, path: str | os.PathLike[str]) -> None:
    """Write a manifest; the file appears complete or not at all.

    Raises
    ------
    RunError
        The file cannot be written.
    """
    text = json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=1) + "\n"
    write_bytes_atomic(path, text.encode("utf-8"))


def _remedy(kind: str, name: str) -> str:
    if kind == "missing":
        field = Manifest.model_fields.get(name)
        meaning = f" ({field.description})" if field is not None else ""
        return f"add {name!r}{meaning}"
    if kind == "extra_forbidden":
        return f"remove it; known fields: {', '.join(Manifest.model_fields)}"
    return "correct the manifest"


def _read_json(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise ModelError(where, "", "is larger than 1 MB", "give the manifest, not the model")
    try:
        values = strict_json(data.removeprefix(codecs.BOM_UTF8))
    except ValueError as error:
        raise ModelError(where, "", f"is not valid JSON ({error})", "correct the file") from None
    if _deeper_than(MAX_DEPTH, values):
        problem = f"is nested deeper than {MAX_DEPTH} levels"
        raise ModelError(where, "", problem, "see 'ecgxai model draft FILE'")
    return values


def _deeper_than(most: int, value: Any) -> bool:
    """Whether lists and objects stand deeper in each other; level by level, without recursion."""
    level = [value]
    for _ in range(most):
        inner = (part.values() if isinstance(part, dict) else part for part in level)
        level = [part for parts in inner for part in parts if isinstance(part, dict | list)]
    return bool(level)


def _open_fields(value: Any, name: str = "") -> list[str]:
    """Names of the fields that still hold :data:`FILL_IN`."""
    if isinstance(value, str):
        return [name] if value.strip().upper().startswith(FILL_IN) else []
    if isinstance(value, dict):
        pairs = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
    elif isinstance(value, list):
        pairs = [(name, part) for part in value]
    else:
        return []
    return list({found: None for key, part in pairs for found in _open_fields(part, key)})
