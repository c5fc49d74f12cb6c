"""Time of one fusion: 12 leads x 40 segments, two methods (run it from the repository root)."""

from __future__ import annotations

import statistics
import time

import numpy as np

from ecgxai_core.aggregations import AGGREGATIONS
from ecgxai_core.fusion import fuse
from ecgxai_core.params import FusionParams
from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance


def main(repeats: int = 300) -> None:
    """Print the median and the 95th percentile in milliseconds for same and different grids."""
    rng = np.random.default_rng(0)
    for name, shift in (("same edges", 0.0), ("different edges", 0.1)):
        methods = [
            Attribution(
                record="r",
                target="426783006",
                method=f"m{i}",
                probability=0.9,
                leads=STANDARD_LEADS,
                edges_sec=np.arange(41) * 0.25 + i * shift,
                weights=rng.normal(size=(12, 40)).astype(np.float32),
                explored=rng.random((12, 40)) < 0.5,
                provenance=Provenance("r", "m", {}, 0, "0"),
            )
            for i in range(2)
        ]
        for agg in AGGREGATIONS:
            fuse(methods, FusionParams(agg=agg))
            times = []
            for _ in range(repeats):
                start = time.perf_counter()
                fuse(methods, FusionParams(agg=agg))
                times.append(1e3 * (time.perf_counter() - start))
            times.sort()
            p95 = times[int(0.95 * len(times))]
            print(f"{name:16s} {agg:8s} median {statistics.median(times):.3f} ms  p95 {p95:.3f} ms")


if __name__ == "__main__":
    main()
