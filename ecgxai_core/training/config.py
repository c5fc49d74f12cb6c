"""Hyperparameters of a training run, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ecgxai_core.errors import ParameterError
from ecgxai_core.params import Params, checked
from ecgxai_core.training.zoo import Options

__all__ = [
    "AugmentParams",
    "DataParams",
    "LossParams",
    "ModelParams",
    "OptimiserParams",
    "ScheduleParams",
    "TrainParams",
    "read_train_params",
    "set_parameter",
]


class DataParams(Params):
    """Records for training and for tuning."""

    train_folds: tuple[int, ...] = Field((1, 2, 3, 4, 5, 6, 7, 8), min_length=1)
    tune_folds: tuple[int, ...] = Field((9,), min_length=1)
    least_records: int = Field(
        100, ge=1, description="fewest records of a code or superclass to be an output"
    )
    outputs: tuple[Literal["codes", "superclasses", "statements"], ...] = Field(
        ("codes", "superclasses"),
        min_length=1,
        description="what the outputs are: SNOMED-CT codes, superclasses, and every statement of "
        "the data set, scp:NAME, however rare",
    )
    sampler: Literal["shuffle", "balanced"] = Field(
        "shuffle", description="each record once per epoch, or rare classes drawn more often"
    )
    crops: tuple[tuple[int, int], ...] = Field(
        (),
        description="(samples, epochs) of random windows in the first epochs; then whole records",
    )
    shuffle_labels: bool = Field(
        False,
        description="deal the labels to other training records: a model that learns nothing true, "
        "for the report card",
    )
    limit: int = Field(0, ge=0, description="use only the first records, for trials; 0 = all")


class ModelParams(Params):
    """Architecture of the zoo; without options the architecture's defaults are used."""

    name: str = "resnet1d"
    options: Options | None = None


class LossParams(Params):
    """Binary cross-entropy or focal loss, and class weights."""

    kind: Literal["bce", "focal"] = "bce"
    class_weights: Literal["none", "sqrt", "inverse"] = "none"
    gamma: float = Field(2.0, ge=0, le=10, description="focusing parameter of the focal loss")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    teacher_share: float = Field(
        0.7, ge=0, le=1, description="share of the teachers' probabilities in the targets, if given"
    )


class AugmentParams(Params):
    """Augmentation of the training signals; zero disables a change."""

    gain_sd: float = Field(0.05, ge=0, le=1, description="SD of the record's log gain")
    lead_gain_sd: float = Field(0.02, ge=0, le=1, description="SD of each lead's log gain")
    jitter_mv: float = Field(0.02, ge=0, le=1, description="highest noise level, mV")
    wander_mv: float = Field(0.1, ge=0, le=5, description="highest baseline wander, mV")
    warp_sd: float = Field(0.0, ge=0, le=0.3, description="SD of the log time stretch")
    cutout: float = Field(0.3, ge=0, le=1, description="probability that a window is zeroed")
    cutout_share: float = Field(0.1, ge=0, le=1, description="longest zeroed fraction of time")
    lead_dropout: float = Field(0.0, ge=0, le=0.9, description="probability of zeroing a lead")
    mixup: float = Field(
        0.0,
        ge=0,
        le=10,
        description="mix each record with another: alpha of the Beta law; 0 = none",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=10,
        description="put a window of another record into each: alpha of the Beta law; 0 = none",
    )


class OptimiserParams(Params):
    """AdamW (Loshchilov & Hutter 2019) and averaging of the weights."""

    batch_size: int = Field(64, ge=1, le=65_536)
    weight_decay: float = Field(0.01, ge=0, le=10)
    clip_norm: float = Field(1.0, gt=0)
    average_decay: float = Field(
        0.998, ge=0, lt=1, description="decay of the moving average of weights; 0 = none"
    )
    equal_average_from: int = Field(
        0,
        ge=0,
        description="after so many epochs, weights are averaged with equal shares from there on "
        "(stochastic weight averaging); 0 = never",
    )


class ScheduleParams(Params):
    """Epochs and learning rate."""

    epochs: int = Field(20, ge=1, le=10_000)
    kind: Literal["cosine", "plateau"] = "cosine"
    learning_rate: float = Field(1e-3, gt=0, le=1, description="highest learning rate")
    final_share: float = Field(0.01, ge=0, le=1, description="final rate / highest rate")
    warmup_epochs: float = Field(1.0, ge=0)
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_patience: int = Field(3, ge=1)
    stop_after: int = Field(
        0, ge=0, description="stop after this epoch without changing the schedule; 0 = never"
    )
    early_stop_patience: int = Field(
        0, ge=0, description="stop after this many epochs without improvement; 0 = never"
    )


class TrainParams(Params):
    """Configuration of a training run."""

    name: str = Field("model", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    seed: int = Field(0, ge=0)
    data: DataParams = DataParams()
    model: ModelParams = ModelParams()
    loss: LossParams = LossParams()
    augment: AugmentParams = AugmentParams()
    optimiser: OptimiserParams = OptimiserParams()
    schedule: ScheduleParams = ScheduleParams()
    checkpoint_steps: int = Field(
        0, ge=0, description="steps between checkpoints; 0 = only at the end of each epoch"
    )


def read_train_params(path: Path, changes: Mapping[str, Any] | None = None) -> TrainParams:
    """Read the TOML file of a run; ``changes`` are overrides such as ``{"schedule.epochs": 3}``.

    Raises
    ------
    ParameterError
        The file is not TOML, a name is unknown, or a value is out of bounds.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParameterError(path.name, "", error, "write a TOML file of parameters") from None
    for name, value in (changes or {}).items():
        set_parameter(values, name, value)
    return checked(TrainParams, values)


def set_parameter(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set ``values["a"]["b"]`` for ``dotted`` = ``"a.b"``, in place.

    Raises
    ------
    ParameterError
        ``values["a"]`` is not a group.
    """
    *groups, last = dotted.split(".")
    for group in groups:
        inner = values.setdefault(group, {})
        if not isinstance(inner, dict):
            problem = f"{group!r} is not a group of parameters"
            raise ParameterError("parameter", dotted, problem, "see the training file")
        values = inner
    values[last] = value
