"""The value types that flow through the program: Record -> Prediction -> Segmentation ->
Attribution -> FusedMap -> Score.

All are frozen and their arrays are read-only, so any of them can be cached, shared between
threads and compared. Times are seconds on the record's own axis unless a name says otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ecgxai_core.map_face import MapFace

__all__ = [
    "DERIVED_LEADS",
    "INDEPENDENT_LEADS",
    "PREVIEW_WARNING",
    "ROUTINE_WARNINGS",
    "STANDARD_LEADS",
    "Attribution",
    "BoolArray",
    "Float32Array",
    "FloatArray",
    "FusedMap",
    "IntArray",
    "Map",
    "ModelInput",
    "Prediction",
    "Provenance",
    "QualityWarning",
    "Record",
    "Score",
    "Segmentation",
    "array_digest",
    "canonical_json",
    "content_seed",
    "frozen_array",
    "joined_codes",
    "probability_text",
    "told_apart",
    "warning_rows",
]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

STANDARD_LEADS: tuple[str, ...] = (
    "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
)  # fmt: skip
"""The order of every lead axis in this program (AHA/ACC/HRS 2007)."""

INDEPENDENT_LEADS: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

DERIVED_LEADS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}
)
"""Factors of I and II that give each derived lead (Einthoven 1908; Goldberger 1942)."""


def frozen_array(values: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Read-only C-contiguous array; copies only when the input is writable or of another type."""
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, dtype=dtype, order="C", copy=True)
        array.flags.writeable = False
    return array


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, shortest round-trip floats, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def array_digest(*arrays: npt.NDArray[Any], extra: Any = None) -> str:
    """SHA-256 over the type, shape and little-endian bytes of arrays, then over ``extra``."""
    sha = hashlib.sha256()
    for array in arrays:
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        sha.update(f"{little.dtype.str}{little.shape}".encode())
        sha.update(little.tobytes())
    sha.update(canonical_json(extra).encode())
    return sha.hexdigest()


def content_seed(*parts: Any) -> int:
    """Seed in [0, 2**63) that depends on the parts and on nothing else.

    Every random choice starts from one of these (record digest, purpose, user seed), never from a
    running generator, so no result depends on the records computed before it.
    """
    digest = hashlib.sha256(canonical_json(list(parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


@dataclass(frozen=True, slots=True)
class QualityWarning:
    """Something odd about a record that is kept, and shown beside every result made from it.

    ``code`` is a stable name such as ``"flat_lead"``; ``leads`` the leads concerned (may be empty).
    """

    code: str
    message: str
    leads: tuple[str, ...] = ()


def warning_rows(warnings: Sequence[QualityWarning]) -> list[dict[str, Any]]:
    """Plain JSON form of warnings, one table each."""
    return [{"code": w.code, "message": w.message, "leads": list(w.leads)} for w in warnings]


ROUTINE_WARNINGS = frozenset({"resampled", "lead_group"})
"""Codes of what is done as a matter of course: noted, but no record is counted for them."""


PREVIEW_WARNING = "preliminary_map"
"""Code of the warning of a preview: a map that is still being refined, or was left so."""


def is_preview(item: Map) -> bool:
    """Whether a map is preliminary, or fused from one that is."""
    return any(warning.code == PREVIEW_WARNING for warning in item.warnings)


def probability_text(value: float) -> str:
    """A probability with two decimals; what they would round to certainty is written as a bound."""
    if value > 0.995:
        return "> 0.99"
    return "< 0.01" if value < 0.005 else f"{value:.2f}"


def told_apart(probability: float, threshold: float) -> tuple[str, str]:
    """Both as text, with the two decimals of :func:`probability_text`, or as many as it takes to
    see on which side of the threshold the probability lies."""
    for digits in range(2, 7):
        if round(probability, digits) != round(threshold, digits) or probability == threshold:
            break
    if digits == 2:
        return probability_text(probability), f"{threshold:.2f}"
    return f"{probability:.{digits}f}", f"{threshold:.{digits}f}"


def joined_codes(codes: Iterable[str]) -> str:
    """Codes of warnings as one cell of a table: sorted, each once, separated by ``;``."""
    return ";".join(sorted(set(codes)))


@dataclass(frozen=True, slots=True)
class Record:
    """One ECG.

    Attributes
    ----------
    name
        Record name; never a path.
    signal
        ``float32[lead, sample]``, mV, leads in :data:`STANDARD_LEADS` order (those present).
    fs
        Sampling rate in Hz.
    leads
        Names of the rows of ``signal``.
    adc_gain, adc_zero
        Per lead: counts per mV and counts at 0 mV, so that ``counts = mV * gain + zero``;
        ``None`` where the format has no ADC counts.
    labels
        SNOMED-CT codes (or superclass names) given with the record; ``None`` = no label field.
    age, sex
        Years; ``"female"``, ``"male"`` or ``None``.
    warnings
        Named quality warnings.
    synthetic
        Whether the record says that it was simulated.
    digest
        SHA-256 of everything that can influence a prediction (signal, fs, leads, ADC scale).
    file
        Name of the file that it was read from (the header of a WFDB record); never a path.
    """

    name: str
    signal: Float32Array
    fs: float
    leads: tuple[str, ...]
    adc_gain: tuple[float, ...] | None = None
    adc_zero: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None
    age: float | None = None
    sex: str | None = None
    warnings: tuple[QualityWarning, ...] = ()
    synthetic: bool = False
    digest: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "signal", frozen_array(self.signal, np.float32))
        if self.signal.ndim != 2 or self.signal.shape[0] != len(self.leads):
            raise ValueError(f"signal {self.signal.shape} does not fit {len(self.leads)} leads")
        scale = [self.fs, list(self.leads), self.adc_gain, self.adc_zero]
        object.__setattr__(self, "digest", array_digest(self.signal, extra=scale))

    @property
    def n_samples(self) -> int:
        """Samples per lead."""
        return int(self.signal.shape[1])

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.fs


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the model sees of one record after the manifest's preprocessing.

    Attributes
    ----------
    values
        ``float32[sample, lead]``, in the model's units, model lead order.
    zero
        ``float32[lead]``: the value that 0 mV has in ``values`` (frozen normalisation included).
    fs
        The model's sampling rate, Hz.
    start_sec
        Where the first sample that comes from the record lies on the record's time axis.
    valid
        ``(first, stop)`` samples of ``values`` that come from the record; the rest is padding.
    leads
        Names of the columns of ``values``.
    record_digest
        Digest of the record.
    warnings
        Quality warnings that arise here (resampled, cropped, share of padding).
    """

    values: Float32Array
    zero: Float32Array
    fs: float
    start_sec: float
    valid: tuple[int, int]
    leads: tuple[str, ...]
    record_digest: str
    warnings: tuple[QualityWarning, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen_array(self.values, np.float32))
        object.__setattr__(self, "zero", frozen_array(self.zero, np.float32))

    @property
    def seen_sec(self) -> tuple[float, float]:
        """The part of the record that the model sees, in seconds of the record."""
        first, stop = self.valid
        return self.start_sec, self.start_sec + (stop - first) / self.fs


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities ``float32[class]`` of one model for one record."""

    record: str
    classes: tuple[str, ...]
    probabilities: Float32Array
    record_digest: str
    model_digest: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", frozen_array(self.probabilities, np.float32))

    def probability(self, code: str) -> float:
        """Probability of one class."""
        return float(self.probabilities[self.classes.index(code)])


@dataclass(frozen=True, slots=True)
class Segmentation:
    """An ordered, gapless set of time windows over the part of a record that the model sees.

    ``edges`` are sample numbers of the model input (``int64[n + 1]``, rising); segment ``i`` is
    ``[edges[i], edges[i + 1])``. ``origin_sec`` is the record time of model-input sample 0
    (negative where padding comes first). ``labels`` name each segment (``"P"``, ``"QRS"``, ...)
    where it is a wave; else there are none. ``reason``: why this kind, where it was chosen for the
    record; else empty.
    """

    kind: str
    edges: IntArray
    fs: float
    origin_sec: float
    labels: tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", frozen_array(self.edges, np.int64))
        if self.edges.ndim != 1 or len(self.edges) < 2 or np.any(np.diff(self.edges) <= 0):
            raise ValueError("edges of a segmentation must rise")
        if self.labels and len(self.labels) != len(self):
            raise ValueError(f"{len(self.labels)} labels do not fit {len(self)} segments")

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def edges_sec(self) -> FloatArray:
        """``float64[n + 1]``: the edges in seconds of the record."""
        return self.origin_sec + self.edges / self.fs

    @property
    def durations(self) -> FloatArray:
        """``float64[n]``: lengths of the segments in seconds."""
        return np.diff(self.edges) / self.fs


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a value comes from: enough to repeat it and to compare it with another."""

    record_digest: str
    model_digest: str
    params: Mapping[str, Any]
    seed: int
    code_version: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {
            "record_digest": self.record_digest,
            "model_digest": self.model_digest,
            "params": dict(self.params),
            "seed": self.seed,
            "code_version": self.code_version,
        }


def _check_grid(item: Map, array: npt.NDArray[Any]) -> None:
    shape = (len(item.leads), len(item.edges_sec) - 1)
    if array.shape != shape:
        raise ValueError(f"array {array.shape} does not fit the grid {shape}")


def _freeze(item: Map) -> None:
    """Make the arrays that all maps have read-only; a weight that was not explored is NaN."""
    set_ = object.__setattr__
    set_(item, "edges_sec", frozen_array(item.edges_sec, np.float64))
    set_(item, "explored", frozen_array(item.explored, np.bool_))
    weights = np.asarray(item.weights, np.float32)
    _check_grid(item, weights)
    _check_grid(item, item.explored)
    weights = np.where(item.explored, weights, np.float32(np.nan))
    set_(item, "weights", frozen_array(weights, np.float32))


@runtime_checkable
class Map(Protocol):
    """A weight per cell: what attributions, fused maps and maps from elsewhere share.

    Whatever draws, compares or evaluates maps asks for no more than this; the fields are those of
    :class:`Attribution`.
    """

    @property
    def record(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def probability(self) -> float: ...
    @property
    def leads(self) -> tuple[str, ...]: ...
    @property
    def edges_sec(self) -> FloatArray: ...
    @property
    def weights(self) -> Float32Array: ...
    @property
    def explored(self) -> BoolArray: ...
    @property
    def durations(self) -> FloatArray: ...
    @property
    def provenance(self) -> Provenance: ...
    @property
    def diagnostics(self) -> Mapping[str, Any]: ...
    @property
    def warnings(self) -> tuple[QualityWarning, ...]: ...
    @property
    def independent(self) -> bool: ...
    @property
    def explorable(self) -> BoolArray: ...
    @property
    def missing(self) -> BoolArray: ...
    def density(self) -> FloatArray: ...
    def drawn_density(self) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Attribution(MapFace):
    """One explanation: signed weights on a lead-by-segment grid.

    Attributes
    ----------
    record, target, method
        Record name, SNOMED-CT code, registry name of the method.
    probability
        The model's probability of the target on the unmasked record.
    leads, edges_sec
        The grid: rows, and ``float64[segment + 1]`` edges in seconds of the record.
    weights
        ``float32[lead, segment]``, signed, the weight of the whole cell; NaN where not explored.
    explored
        ``bool[lead, segment]``.
    event_values, event_errors
        ``float64[segment]``: the event game's values and standard errors, or ``None``.
    standard_errors
        ``float32[lead, segment]`` or ``None`` where the method has none; NaN where not explored.
    diagnostics
        JSON-able facts: coalitions, forward passes, held-out R2, converged, ``map_gap`` (how far
        the weights fail to add up), ``efficiency_gap`` (the same of the game behind them, which for
        LIME and TimeSHAP is the event game), ...
    warnings
        Quality warnings of the record and of what the model saw of it.
    """

    record: str
    target: str
    method: str
    probability: float
    leads: tuple[str, ...]
    edges_sec: FloatArray
    weights: Float32Array
    explored: BoolArray
    provenance: Provenance
    event_values: FloatArray | None = None
    event_errors: FloatArray | None = None
    standard_errors: Float32Array | None = None
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[QualityWarning, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        _freeze(self)
        if not np.all(np.isfinite(self.weights[self.explored])):
            raise ValueError("an explored cell must have a finite weight")
        if self.standard_errors is not None:
            set_(self, "standard_errors", frozen_array(self.standard_errors, np.float32))
            _check_grid(self, self.standard_errors)
        for name in ("event_values", "event_errors"):
            values = getattr(self, name)
            if values is not None:
                set_(self, name, frozen_array(values, np.float64))


@dataclass(frozen=True, slots=True)
class FusedMap(MapFace):
    """Several attributions on one grid (the union of their edges).

    ``weights`` is the weight of each whole cell (as in :class:`Attribution`), dimensionless after
    scaling; NaN where no method explored. ``agreement`` is ``int8[lead, segment]``: 2 = all methods
    that explored the cell agree in sign, 1 = a single method, -1 = disagreement, 0 = not explored
    or all zero.
    """

    record: str
    target: str
    methods: tuple[str, ...]
    probability: float
    leads: tuple[str, ...]
    edges_sec: FloatArray
    weights: Float32Array
    explored: BoolArray
    agreement: npt.NDArray[np.int8]
    lead_scores: Mapping[str, float]
    top_leads: tuple[str, ...]
    diagnostics: Mapping[str, Any]
    provenance: Provenance
    warnings: tuple[QualityWarning, ...] = ()

    def __post_init__(self) -> None:
        _freeze(self)
        object.__setattr__(self, "agreement", frozen_array(self.agreement, np.int8))
        _check_grid(self, self.agreement)

    @property
    def method(self) -> str:
        """``"fused"``: what stands where other maps name their method."""
        return "fused"


@dataclass(frozen=True, slots=True)
class Score:
    """One number about one map, beside the numbers it must be evaluated against.

    ``value`` NaN = undefined (never averaged in silence). ``random`` is the score that a random map
    reaches on the same record, ``empty`` that of the all-zero map, ``ceiling`` the best reachable;
    NaN where the metric has no such number. ``beside`` are the scores of the reference maps of this
    map, by the names of :data:`ecgxai_core.metrics.base.REFERENCES`.
    """

    metric: str
    value: float
    random: float = float("nan")
    empty: float = float("nan")
    ceiling: float = float("nan")
    beside: Mapping[str, float] = field(default_factory=dict)
