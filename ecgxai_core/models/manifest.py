"""The manifest: a JSON file beside a model that says what the model expects and what it returns.

``cinc_resnet.json`` describes ``cinc_resnet.keras``. Nothing about sampling rate, lead order, units
or padding has a default, because a guess there gives wrong probabilities without any error; only
the steps that a model may simply not have (filter, normalisation, temperature) may be left out.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from ecgxai_core.errors import ModelError
from ecgxai_core.params import Params
from ecgxai_core.types import STANDARD_LEADS, canonical_json

__all__ = [
    "FILL_IN",
    "FilterSpec",
    "Manifest",
    "NormalisationSpec",
    "OutputNames",
    "load_manifest",
    "manifest_from_json",
    "manifest_path",
    "model_digest",
    "save_manifest",
]

FILL_IN = "FILL IN"
"""What a draft holds where only a person can know the value; such a manifest is refused."""

MAX_MANIFEST_BYTES = 1_000_000

Name = Annotated[str, Field(min_length=1, max_length=200)]
Rate = Annotated[float, Field(ge=10, le=100_000, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
PerLead = Finite | tuple[Finite, ...]


class _Part(Params):
    """Strict types (no ``"500"`` for 500) on top of strict names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=True)


class FilterSpec(_Part):
    """Zero-phase Butterworth filter (forward and backward), at the model's sampling rate."""

    kind: Literal["bandpass", "highpass", "lowpass"] = Field(description="shape of the band")
    low: float | None = Field(None, gt=0, allow_inf_nan=False, description="lower edge, Hz")
    high: float | None = Field(None, gt=0, allow_inf_nan=False, description="upper edge, Hz")
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
        if any(value is not None and value <= 0 for value in scale):
            raise ValueError("scale must be positive")
        return self


class OutputNames(_Part):
    """For a model with more than one output: which one holds the classes."""

    probability: Name = Field(description="name of the output that holds one value per class")
    attention: tuple[Name, ...] = Field((), description="names of outputs that hold attention")


class Manifest(_Part):
    """What a model expects and returns."""

    classes: tuple[Name, ...] = Field(
        min_length=1, max_length=10_000, description="SNOMED-CT codes, one per output column"
    )
    fs: Rate = Field(description="sampling rate, Hz")
    samples: int = Field(ge=1, le=10_000_000, description="length of the input, samples")
    leads: tuple[Name, ...] = Field(
        min_length=1, max_length=12, description="leads in the order of the input's last axis"
    )
    units: Literal["mV", "uV", "adc"] = Field(description="unit of the input before normalisation")
    adc_gain: float | None = Field(
        None,
        gt=0,
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
    output: Literal["probability", "logit"] = Field(
        description="what the output holds; logit: each class becomes a probability by its own "
        "sigmoid, so a model whose classes share a softmax must end in it and say probability"
    )
    temperature: float = Field(
        1.0, gt=0, le=1000, allow_inf_nan=False, description="divides the logit (calibration)"
    )
    source: str = Field(min_length=1, max_length=2000, description="who made it, licence, citation")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the model file")
    thresholds: dict[Name, float] | None = Field(
        None, description="probability from which a class counts as present"
    )
    receptive_field_samples: int | None = Field(
        None, ge=1, description="samples that one unit of the last layer before pooling sees"
    )
    outputs: OutputNames | None = Field(
        None, description="only for models with several outputs: their roles"
    )
    card: str | None = Field(None, max_length=200, description="file name of the model card")
    notes: str | None = Field(None, max_length=5000, description="anything a reader should know")

    @property
    def reach(self) -> str:
        """What the model can see at once, as a sentence; empty where that is not stated."""
        if self.receptive_field_samples is None:
            return ""
        return (
            f"The model compares waves within {self.receptive_field_samples / self.fs:.2f} s; what "
            "needs a longer look (rhythm over several beats) it can only count, not see."
        )

    @field_validator("classes", "leads")
    @classmethod
    def _unique_and_printable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r} stands there twice")
        bad = [name for name in names if not name.isprintable() or name != name.strip()]
        if bad:
            raise ValueError(f"{bad[0]!r} has spaces around it or unprintable characters")
        return names

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> Self:
        unknown = [lead for lead in self.leads if lead not in STANDARD_LEADS]
        if unknown:
            known = " ".join(STANDARD_LEADS)
            raise ValueError(f"lead {unknown[0]!r} is unknown; the leads are {known}")
        if self.filter is not None and max(self.filter.edges) >= self.fs / 2:
            raise ValueError(f"filter edges must lie below half the sampling rate, {self.fs / 2:g}")
        if self.adc_gain is not None and self.units != "adc":
            raise ValueError("adc_gain belongs to units 'adc'")
        for name in ("mean", "scale"):
            numbers = getattr(self.normalisation, name)
            if isinstance(numbers, tuple) and len(numbers) != len(self.leads):
                raise ValueError(f"normalisation.{name} needs one number, or one per lead")
        for code, value in (self.thresholds or {}).items():
            if code not in self.classes or not 0 <= value <= 1:
                raise ValueError(f"threshold {code!r} names no class or lies outside [0, 1]")
        return self

    def canonical(self) -> str:
        """One text for one manifest; absent optional fields do not appear."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True))


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
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        raise ModelError(
            file.name,
            "",
            "the model has no manifest, so its rate, leads, units and classes are not known",
            "write one with 'ecgxai model draft FILE' and fill it in",
        ) from None
    except OSError as error:
        raise ModelError(
            file.name, "", f"cannot be read ({error.strerror})", "check the file and its rights"
        ) from None
    return manifest_from_json(data, file.name)


def manifest_from_json(data: bytes, where: str = "manifest") -> Manifest:
    """Check the text of a manifest; ``where`` names it in errors (see :func:`load_manifest`)."""
    values = _read_json(data, where)
    open_fields = sorted(_open_fields(values))
    if open_fields:
        raise ModelError(
            where,
            ", ".join(open_fields),
            "the draft is not filled in",
            f"replace each {FILL_IN!r} by what the model was trained with",
        )
    try:
        return Manifest.model_validate_json(json.dumps(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise ModelError(where, name, first["msg"], _remedy(first["type"], name)) from None


def save_manifest(manifest: Manifest, path: str | os.PathLike[str]) -> None:
    """Write a manifest; the file appears complete or not at all."""
    file = Path(path)
    text = json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=1) + "\n"
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


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
        values = json.loads(
            data.decode("utf-8-sig"), object_pairs_hook=_no_doubles, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise ModelError(where, "", f"is not valid JSON ({error})", "correct the file") from None
    if not isinstance(values, dict):
        raise ModelError(where, "", "is not a JSON object", "see 'ecgxai model draft FILE'")
    return values


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a field stands there twice")
    return values


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


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
