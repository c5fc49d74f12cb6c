"""Cost of a forward pass of the shipped models: ``python tests/benchmarks/bench_models.py``.

Not a test: what it prints depends on the machine. The aim is at most 10 ms a record for the
default model on two cores, in batches of 32.
"""

from __future__ import annotations

import time

import numpy as np

from ecgxai_core.models.loading import load_classifier
from ecgxai_core.settings import assets_dir

RECORDS, REPEATS = 256, 5


def main() -> None:
    """Print the best of some repeats for each model."""
    signals = np.random.default_rng(0).normal(0, 0.3, (RECORDS, 1000, 12)).astype(np.float32)
    for path in sorted((assets_dir() / "models").glob("*/*.keras")):
        model = load_classifier(path)
        model.predict(signals[:32])
        times = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            model.predict(signals)
            times.append(time.perf_counter() - started)
        print(f"{path.stem}: {min(times) / RECORDS * 1e3:.2f} ms a record, batches of 32")


if __name__ == "__main__":
    main()
