"""What an epoch of training costs: ``python -m tests.benchmarks.bench_training CONFIG.toml ...``.

Takes some steps of each configuration on invented signals, at each length of its windows, and
prints the CPU seconds of the cheapest one and the CPU minutes of an epoch of so many records (PTB-
XL's folds 1 to 8 unless ``--records`` says otherwise). CPU time hardly depends on what else the
machine does; divide by the cores for the time on an idle one. Scoring the tuning folds comes on
top: one forward pass of each of their records.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from ecgxai_core.training.config import TrainParams, read_train_params
from ecgxai_core.training.trainer import Trainer
from ecgxai_core.training.zoo import Shape

RECORDS, SAMPLES, LEADS = 17_441, 1000, 12


def step_seconds(params: TrainParams, length: int, outputs: int, repeats: int) -> float:
    """CPU seconds of the cheapest training step on windows of so many samples."""
    trainer = Trainer(params, Shape(SAMPLES, LEADS, outputs), np.ones(outputs, np.float32))
    size, rng = params.optimiser.batch_size, np.random.default_rng(0)
    signals = rng.normal(0, 0.3, (size, length, LEADS)).astype(np.float32)
    targets = np.zeros((size, outputs), np.float32)
    taken = []
    for _ in range(repeats + 1):  # the first one is traced
        started = time.process_time()
        trainer.step(signals, targets, 1e-3)
        taken.append(time.process_time() - started)
    return min(taken[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--outputs", type=int, default=99)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--repeats", type=int, default=4)
    asked = parser.parse_args()
    print("| configuration | window, samples | epochs | CPU s a step | CPU min an epoch |")
    print("|---|---:|---:|---:|---:|")
    for path in asked.configs:
        params = read_train_params(path)
        steps, left = asked.records // params.optimiser.batch_size, params.schedule.epochs
        for length, epochs in (*params.data.crops, (SAMPLES, left)):
            epochs = min(epochs, left)
            left -= epochs
            each = step_seconds(params, length, asked.outputs, asked.repeats)
            minutes = each * steps / 60
            print(f"| {path.stem} | {length} | {epochs} | {each:.2f} | {minutes:.1f} |")


if __name__ == "__main__":
    main()
