"""Training arrays small enough to train on in a test: slow and fast sines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ecgxai_core.params import checked
from ecgxai_core.training.arrays import EcgArrays, TrainingRecord, open_arrays, write_arrays
from ecgxai_core.training.config import TrainParams

SAMPLES, FS = 128, 100.0
CLASSES = ("426177001", "427084000", "NORM")


def records(n: int) -> Iterator[TrainingRecord]:
    """Sines of 1 or 4 Hz with noise; every patient has two records in one fold."""
    for i in range(n):
        rng = np.random.default_rng(i)
        fast = (i // 2) % 2
        wave = np.sin(2 * np.pi * (4 if fast else 1) * np.arange(SAMPLES) / FS + rng.random() * 6)
        signal = 800 * wave[:, None] * rng.uniform(0.5, 1, 12) + rng.normal(0, 50, (SAMPLES, 12))
        labels = ("427084000",) if fast else ("426177001", "NORM")
        yield TrainingRecord(
            name=f"r{i:03d}",
            patient=f"p{i // 2}",
            fold=i // 2 % 5 + 1,
            labels=labels,
            signal=signal.astype(np.int16),
            age=30.0 + i if i % 7 else float("nan"),
            sex=("female", "male")[i % 2],
            quality=("static_noise",) if i % 5 == 0 else (),
        )


def small_arrays(folder: Path, n: int = 80) -> EcgArrays:
    """Write and open ``n`` records."""
    write_arrays(records(n), n, SAMPLES, FS, "invented signals", folder)
    return open_arrays(folder)


def small_params(**changes: object) -> TrainParams:
    """Parameters of a run of a few seconds; ``changes`` replace whole groups."""
    values: dict[str, object] = {
        "name": "small",
        "seed": 3,
        "data": {
            "train_folds": [1, 2, 3, 4],
            "tune_folds": [5],
            "least_records": 4,
            "crops": [[64, 1]],
        },
        "model": {
            "name": "resnet1d",
            "options": {"filters": [4, 6], "kernels": [[5, 3]], "dropout": 0.1},
        },
        "augment": {"warp_sd": 0.05, "lead_dropout": 0.1},
        "optimiser": {"batch_size": 8, "average_decay": 0.9},
        "schedule": {"epochs": 3, "learning_rate": 0.01, "warmup_epochs": 0.5},
        "checkpoint_steps": 2,
    }
    return checked(TrainParams, {**values, **changes})


def student_params() -> TrainParams:
    """Parameters of a student with all that a teacher's run has: mixing, equal averaging."""
    return small_params(
        name="student",
        augment={"warp_sd": 0.05, "mixup": 0.3, "cutmix": 0.5},
        optimiser={"batch_size": 8, "average_decay": 0.9, "equal_average_from": 1},
    )
