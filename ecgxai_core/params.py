"""Every parameter, with its bounds, default and help: the one source of defaults, command-line
options, widgets, cache keys and documentation.

``profile("default")`` follows this project's rules; ``profile("reference")`` repeats the settings
with which the ECG-XAI programme was published, and exists for comparison.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ecgxai_core.aggregations import AGGREGATIONS
from ecgxai_core.errors import ParameterError

__all__ = [
    "PROFILES",
    "EvaluationParams",
    "ExplainParams",
    "FusionParams",
    "OneOf",
    "Params",
    "Profile",
    "ProfileName",
    "SelectionParams",
    "StabilityParams",
    "choices",
    "profile",
    "profile_with",
]

ProfileName = Literal["default", "reference"]
PROFILES: tuple[ProfileName, ...] = ("default", "reference")


class Params(BaseModel):
    """Base of all parameter groups: immutable, strict about names and bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def as_key(self) -> dict[str, Any]:
        """Plain JSON form, for cache keys and provenance."""
        return self.model_dump(mode="json")

    def updated(self, **changes: Any) -> Self:
        """A checked copy with some fields changed."""
        return checked(type(self), {**self.model_dump(), **changes})


P = TypeVar("P", bound=Params)


class OneOf:
    """Marks a text field that names an entry of a registry, whose entries have a ``title``."""

    def __init__(self, registry: Mapping[str, Any]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def _known(self, name: str) -> str:
        if name not in self.registry:
            known = {"known": ", ".join(self.registry)}
            raise PydanticCustomError("one_of", "Input should be one of {known}", known)
        return name


def choices(kind: type[Params], name: str) -> dict[Any, str]:
    """What a field may be, with a title for people; empty where it is no choice."""
    field = kind.model_fields[name]
    for mark in field.metadata:
        if isinstance(mark, OneOf):
            return {key: entry.title for key, entry in mark.registry.items()}
    options = (field.annotation, *get_args(field.annotation))
    literal = next((part for part in options if get_origin(part) is Literal), None)
    return {value: str(value) for value in get_args(literal)}


RENAMED: dict[str, str] = {"against": "contrast"}
"""Old names of parameters, accepted with a warning until version 0.3."""


def current_name(name: str) -> str:
    """The present name of a parameter; warns where an old one was used."""
    if name not in RENAMED:
        return name
    warnings.warn(
        f"parameter {name!r} is now called {RENAMED[name]!r}; the old name goes with version 0.3",
        FutureWarning,
        stacklevel=3,
    )
    return RENAMED[name]


def checked(kind: type[P], values: Mapping[str, Any]) -> P:
    """Build a parameter group; a bad value becomes a one-line :class:`ParameterError`."""
    values = {current_name(name): value for name, value in values.items()}
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or kind.__name__
        known = ", ".join(sorted(kind.model_fields))
        fix = f"known parameters: {known}" if first["type"] == "extra_forbidden" else "see --help"
        raise ParameterError("parameter", name, first["msg"], fix) from None


class SelectionParams(Params):
    """Which records become ``sel_df``."""

    k_per_class: int = Field(50, ge=1, le=100_000, description="records per diagnosis at most")
    min_prob: float = Field(
        0.85, ge=0, le=1, description="least probability (maximum over aliases)"
    )
    max_duration_sec: float = Field(20.0, gt=0, le=86_400, description="longest record, seconds")
    seed: int = Field(0, ge=0, description="seed of the draw")


class ExplainParams(Params):
    """How one prediction is explained."""

    segments: Literal["auto", "wave", "beat", "uniform"] = Field(
        "uniform",
        description="how time is cut: P, QRS, ST and T of each beat, beats, or windows; auto = the "
        "first of these that the record is clear enough for",
    )
    window_sec: float | None = Field(
        None,
        ge=0.02,
        le=10,
        description="length of uniform segments, seconds; empty = the diagnosis's own (0.5 s where "
        "auto falls back on windows)",
    )
    baseline: Literal["zero", "mean", "linear", "isoelectric", "noise", "median_beat"] = Field(
        "zero", description="what replaces a masked cell"
    )
    link: Literal["probability", "logit"] = Field(
        "logit", description="scale on which a coalition's value is measured"
    )
    engine: Literal["auto", "whole"] = Field(
        "auto",
        description="auto: games played exactly on pieces of the record where the model allows it",
    )
    lead_group: Literal["all", "independent"] = Field(
        "all",
        description="independent: I, II and V1-V6 are masked, the other four leads follow",
    )
    n_coalitions: int = Field(
        256, ge=16, le=100_000, description="coalitions of the event game, where it is sampled"
    )
    max_coalitions: int | None = Field(
        None,
        ge=16,
        le=1_000_000,
        description="sampling doubles up to this until the top set has converged; empty = never",
    )
    n_lead_coalitions: int = Field(
        100, ge=16, le=100_000, description="coalitions of each lead-in-event game"
    )
    max_lead_coalitions: int | None = Field(
        None,
        ge=16,
        le=100_000,
        description="the same limit for a lead-in-event game; 4096 = all subsets of twelve leads",
    )
    top_events: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="segments whose leads are explored; empty = all with the exact engine, or "
        "where level is owen or winter and there are at most 30, else 5",
    )
    level: Literal["owen", "winter", "lead_in_event", "cell"] = Field(
        "lead_in_event",
        description="TimeSHAP: owen (segments > leads) and winter (beats > waves > leads) add up; "
        "lead_in_event = leads of one segment with all else intact; cell = one game over cells",
    )
    target_error: float = Field(
        0.05,
        ge=0.001,
        le=1,
        description="owen, winter: sampling continues until the map's error is this share of it",
    )
    p_on: float = Field(0.5, gt=0, lt=1, description="LIME: chance that a player stays unmasked")
    kernel_width: float = Field(
        0.25, ge=0.01, le=10, description="LIME: width of the cosine kernel"
    )
    ridge_lime: float = Field(0.01, ge=0, le=100, description="LIME: ridge penalty")
    ridge_timeshap: float = Field(0.0, ge=0, le=100, description="TimeSHAP: ridge penalty")
    sampling: Literal["paired", "published"] = Field(
        "paired",
        description="antithetic masks, seeded per record; or the published scheme (seed 42)",
    )
    lead_priors: bool = Field(
        False, description="sample masks by lead priors of the diagnosis (published trap; recorded)"
    )
    keep_leads: int = Field(
        12, ge=1, le=12, description="leads kept after ranking; 12 = all (nothing is thrown away)"
    )
    converged_top_k: int = Field(
        5, ge=1, le=100, description="the top set whose stability decides 'converged'"
    )
    converged_level: float = Field(
        0.95, gt=0.5, lt=1, description="confidence with which the top set must have converged"
    )
    contrast: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="code of another class: explain logit(target) - logit(contrast)",
    )
    ig_steps: int = Field(
        32,
        ge=8,
        le=4096,
        description="integrated gradients: points of the path; doubled until the map is complete",
    )
    n_noise: int = Field(32, ge=2, le=4096, description="SmoothGrad: noisy copies of the record")
    noise_level: float = Field(
        0.1, gt=0, le=2, description="SmoothGrad: noise over each lead's own standard deviation"
    )
    cam_layer: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Grad-CAM: name of the layer; empty = the last convolution",
    )
    lrp_rule: Literal["gamma", "epsilon"] = Field(
        "gamma", description="LRP: rule of the convolutions; dense layers take epsilon"
    )
    lrp_gamma: float = Field(
        0.25, ge=0, le=1_000, description="LRP: how much positive evidence is raised"
    )
    lrp_epsilon: float = Field(
        1e-3,
        ge=0,
        le=1,
        description="LRP: stabiliser, over the layer's mean magnitude; with the epsilon rule 0 is "
        "input x gradient, if 0 mV is the model's 0",
    )
    occlusion_level: Literal["cell", "window", "lead"] = Field(
        "cell", description="occlusion: what is masked at a time"
    )
    n_permutations: int = Field(
        4, ge=1, le=10_000, description="shap permutation: orders of the cells, each both ways"
    )
    n_gradients: int = Field(
        128, ge=8, le=100_000, description="shap gradient: random points of the paths"
    )
    seed: int = Field(0, ge=0, description="user seed, mixed with the record's digest")


class FusionParams(Params):
    """How attributions are combined into one map."""

    agg: Annotated[str, OneOf(AGGREGATIONS)] = Field(
        "geomean",
        description="how magnitudes combine where methods overlap: "
        + "; ".join(f"{one.title}, {one.description}" for one in AGGREGATIONS.values()),
    )
    beta: float = Field(
        1.0, ge=0, le=1, description="factor on cells that fewer than two methods found"
    )
    found: float = Field(
        0.1,
        ge=0,
        le=1,
        description="a method finds the cells whose |density| is at least this share of its "
        "largest; 0 = all that it explored, as published",
    )
    tau: float = Field(
        0.02,
        ge=0,
        le=1,
        description="cells below this are hidden, and no score changes; the profile reference "
        "drops them from the map itself, as published, and from its scores",
    )
    tau_mode: Literal["abs", "mass"] = Field(
        "abs", description="tau is compared with |weight|, or with |weight| x seconds"
    )
    topk: int = Field(5, ge=1, le=12, description="leads named in the ranking")
    method_weights: tuple[float, ...] | None = Field(
        None, description="one weight per method; empty = the diagnosis's own, else equal"
    )
    sign_policy: Literal["penalize", "drop", "abs"] = Field(
        "penalize", description="what happens where methods disagree in sign"
    )
    scale: Literal["global", "lead"] = Field(
        "global",
        description="each method is divided by its largest density, over all leads or by lead",
    )


class EvaluationParams(Params):
    """How maps are evaluated."""

    raster_sec: float = Field(0.02, gt=0, le=1, description="raster bin of localisation, seconds")
    precision_k: int = Field(20, ge=1, le=10_000, description="k of precision@k, in raster bins")
    deletion_steps: int = Field(10, ge=4, le=200, description="steps of the deletion curves")
    n_random: int = Field(20, ge=20, le=1_000, description="random orders and maps to compare")
    priors: bool = Field(False, description="also score with lead priors, to show the trap")
    tokens: Literal["raster", "published"] = Field(
        "raster", description="raster of all windows and leads, or the published tokens"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="level of the bootstrap intervals")
    n_bootstrap: int = Field(2000, ge=100, le=100_000, description="bootstrap resamples")
    seed: int = Field(0, ge=0, description="user seed")


class StabilityParams(Params):
    """The extra-beat experiment."""

    k: int = Field(5, ge=1, le=1_000, description="k of Jaccard@k")
    rbo_p: float = Field(0.9, gt=0, lt=1, description="persistence p of RBO")
    blend_sec: float = Field(0.02, ge=0, le=0.2, description="length of the blended seams, seconds")
    seed: int = Field(0, ge=0, description="user seed; the beat is drawn from it and the record")


class Profile(Params):
    """A named, complete set of parameters."""

    name: ProfileName
    explain: ExplainParams
    lime: ExplainParams
    timeshap: ExplainParams
    fusion: FusionParams
    evaluation: EvaluationParams
    stability: StabilityParams
    methods: tuple[str, ...] = Field(
        ("timeshap", "integrated_gradients", "occlusion"),
        min_length=1,
        max_length=100,
        description="methods of a run, which are fused; of three families, as methods of one agree "
        "for reasons of their own",
    )

    def for_method(self, method: str) -> ExplainParams:
        """Explanation parameters of one method."""
        return {"lime": self.lime, "timeshap": self.timeshap}.get(method, self.explain)


def profile(name: str) -> Profile:
    """Return the profile ``"default"`` or ``"reference"``."""
    if name == "default":
        summing = ExplainParams(segments="auto", level="owen", target_error=0.1)
        return Profile(
            name="default",
            explain=summing,
            lime=summing,
            timeshap=summing,
            fusion=FusionParams(),
            evaluation=EvaluationParams(),
            stability=StabilityParams(),
        )
    if name == "reference":
        published = ExplainParams(
            n_coalitions=100, sampling="published", keep_leads=5, seed=42, link="probability",
            top_events=5, engine="whole",
        )  # fmt: skip
        return Profile(
            name="reference",
            explain=published,
            lime=published,
            timeshap=published.updated(link="logit", ridge_timeshap=0.001),
            fusion=FusionParams(scale="lead", found=0.0),
            evaluation=EvaluationParams(tokens="published", seed=42),
            stability=StabilityParams(seed=42),
            methods=("lime", "timeshap"),
        )
    raise ParameterError("profile", name, "no such profile", f"use one of {', '.join(PROFILES)}")


def profile_with(base: Profile, settings: Sequence[str], seed: int | None = None) -> Profile:
    """Apply ``name=value`` texts from the command line, and a seed, to a profile.

    A name goes to every group that has it: explanation parameters of all methods, else fusion,
    evaluation, stability.

    Raises
    ------
    ParameterError
        A text without ``=``, an unknown name, or a value out of bounds.
    """
    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    for text in settings:
        name, separator, value = text.partition("=")
        if not separator:
            raise ParameterError("--set", text, "is not name=value", "write --set name=value")
        changes[current_name(name.strip())] = _parsed(value.strip())
    groups = {
        field: getattr(base, field)
        for field in ("explain", "lime", "timeshap", "fusion", "evaluation", "stability")
    }
    known = {name for group in groups.values() for name in type(group).model_fields}
    for name in changes:
        if name not in known:
            fix = f"known parameters: {', '.join(sorted(known))}"
            raise ParameterError("parameter", name, "no such parameter", fix)
    updated = {
        field: group.updated(**{n: v for n, v in changes.items() if n in type(group).model_fields})
        for field, group in groups.items()
    }
    return base.updated(**updated)


def _parsed(value: str) -> Any:
    """``"0.7,0.3"`` -> list, ``"none"`` -> None, the rest is left to pydantic."""
    if value.lower() in {"none", ""}:
        return None
    if "," in value:
        return [part.strip() for part in value.split(",")]
    return value
