"""A training run in its own process that kills itself at a given step (for tests)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ecgxai_core.training.arrays import open_arrays
from ecgxai_core.training.distil import read_soft_labels
from ecgxai_core.training.loop import train
from ecgxai_core.training.trainer import Trainer
from tests.training.small_data import small_params, student_params


def main() -> None:
    """Arguments: folder of the arrays, run directory, steps until ``SIGKILL`` (0 = never), and
    soft labels for the parameters that need them."""
    data, run, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    soft = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    done = 0
    take_step = Trainer.step

    def step(self: Trainer, *arguments: object) -> float:
        nonlocal done
        done += 1
        if steps and done > steps:
            os.kill(os.getpid(), signal.SIGKILL)
        return take_step(self, *arguments)

    Trainer.step = step  # type: ignore[method-assign,assignment]
    if soft is None:
        train(small_params(), open_arrays(data), run)
    else:
        train(student_params(), open_arrays(data), run, teacher=read_soft_labels(soft))


if __name__ == "__main__":
    main()
