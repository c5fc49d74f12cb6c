"""Every hyperparameter of a training run, read from one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ecgxai_core.errors import ParameterError
from ecgxai_core.models.zoo.options import Options
from ecgxai_core.params import Params, checked

__all__ = [
    "AugmentParams",
    "DataParams",
    "LossParams",
    "ModelParams",
    "OptimiserParams",
    "ScheduleParams",
    "TrainParams",
    "read_train_params",
]


class DataParams(Params):
    """Which records train and which tune."""

    train_folds: tuple[int, ...] = Field((1, 2, 3, 4, 5, 6, 7, 8), min_length=1)
    tune_folds: tuple[int, ...] = Field((9,), min_length=1)
    least_records: int = Field(100, ge=1, description="records that a class needs to be an output")
    sampler: Literal["shuffle", "balanced"] = Field(
        "shuffle", description="each record once an epoch, or rare classes drawn more often"
    )
    crops: tuple[tuple[int, int], ...] = Field(
        (),
        description="(samples, epochs) of random windows in the first epochs; then whole records",
    )
    limit: int = Field(0, ge=0, description="first records only, for trials; 0 = all")


class ModelParams(Params):
    """Which architecture of the zoo; empty options are the architecture's own."""

    name: str = "resnet1d"
    options: Options | None = None


class LossParams(Params):
    """Binary cross-entropy or focal loss, and how classes weigh."""

    kind: Literal["bce", "focal"] = "bce"
    class_weights: Literal["none", "sqrt", "inverse"] = "none"
    gamma: float = Field(2.0, ge=0, le=10, description="focusing parameter of the focal loss")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)


class AugmentParams(Params):
    """Random changes of the training signals; zero switches a change off."""

    gain_sd: float = Field(0.05, ge=0, le=1, description="log gain of the whole record")
    lead_gain_sd: float = Field(0.02, ge=0, le=1, description="log gain of each lead")
    jitter_mv: float = Field(0.02, ge=0, le=1, description="largest noise level, mV")
    wander_mv: float = Field(0.1, ge=0, le=5, description="largest baseline wander, mV")
    warp_sd: float = Field(0.0, ge=0, le=0.3, description="log stretch of time")
    cutout: float = Field(0.3, ge=0, le=1, description="chance that a window is zeroed")
    cutout_share: float = Field(0.1, ge=0, le=1, description="longest zeroed share of time")
    lead_dropout: float = Field(0.0, ge=0, le=0.9, description="chance that a lead is zeroed")


class OptimiserParams(Params):
    """AdamW (Loshchilov & Hutter 2019) and an average of the weights."""

    batch_size: int = Field(64, ge=1, le=65_536)
    weight_decay: float = Field(0.01, ge=0, le=10)
    clip_norm: float = Field(1.0, gt=0)
    average_decay: float = Field(
        0.998, ge=0, lt=1, description="decay of the moving average of weights; 0 = none"
    )


class ScheduleParams(Params):
    """Epochs and learning rate."""

    epochs: int = Field(20, ge=1, le=10_000)
    kind: Literal["cosine", "plateau"] = "cosine"
    learning_rate: float = Field(1e-3, gt=0, le=1, description="highest learning rate")
    final_share: float = Field(0.01, ge=0, le=1, description="last rate as a share of the highest")
    warmup_epochs: float = Field(1.0, ge=0)
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_patience: int = Field(3, ge=1)
    stop_after: int = Field(
        0, ge=0, description="epochs after which to stop, the schedule unchanged; 0 = all"
    )
    early_stop_patience: int = Field(0, ge=0, description="epochs without gain; 0 = never stop")


class TrainParams(Params):
    """One training run."""

    name: str = Field("model", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    seed: int = Field(0, ge=0)
    data: DataParams = DataParams()
    model: ModelParams = ModelParams()
    loss: LossParams = LossParams()
    augment: AugmentParams = AugmentParams()
    optimiser: OptimiserParams = OptimiserParams()
    schedule: ScheduleParams = ScheduleParams()
    checkpoint_steps: int = Field(
        0, ge=0, description="steps between checkpoints within an epoch; 0 = at its end only"
    )


def read_train_params(path: Path, changes: Mapping[str, Any] | None = None) -> TrainParams:
    """Read the TOML file of a run; ``changes`` are ``{"schedule.epochs": 3}``-like overrides.

    Raises
    ------
    ParameterError
        A file that is no TOML, an unknown name or a value out of bounds.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParameterError(path.name, "", error, "write a TOML file of parameters") from None
    for name, value in (changes or {}).items():
        _set(values, name, value)
    return checked(TrainParams, values)


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *groups, last = dotted.split(".")
    for group in groups:
        inner = values.setdefault(group, {})
        if not isinstance(inner, dict):
            raise ParameterError("parameter", dotted, "is no group", "see the training file")
        values = inner
    values[last] = value
