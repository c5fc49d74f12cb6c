"""Make ``assets/natural_ranges.json``: ``python -m tests.benchmarks.natural_ranges --data DATA``.

Percentiles of every measurement over PTB-XL (100 Hz, the folds 1 to 8 that the shipped models were
trained on). A measurement of less confidence than the page compares is left out.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections import defaultdict
from pathlib import Path

import numpy as np

from ecgxai_core.pipeline.measurements import LEAST_CONFIDENCE
from ecgxai_core.settings import assets_dir
from ecgxai_core.signal.intervals import measure_signal
from ecgxai_core.types import STANDARD_LEADS

PERCENTILES = (1.0, 99.0)
FOLDS = range(1, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4, help="every so many records")
    options = parser.parse_args()
    load = runpy.run_path(str(options.data / "ptbxl100" / "unpack.py"))["load_fold"]
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    n_records = 0
    for fold in FOLDS:
        for counts in load(fold)[1][:: options.every]:
            n_records += 1
            table = measure_signal(counts / 1000.0, 100.0, STANDARD_LEADS)
            for row in table.rows():
                if row["confidence"] >= LEAST_CONFIDENCE:
                    found[row["lead"], row["name"]].append(row["value"])
        print(f"fold {fold}: {n_records} records", flush=True)
    ranges: dict[str, dict[str, list[float]]] = {}
    for (lead, name), values in sorted(found.items()):
        low, high = np.percentile(values, PERCENTILES)
        ranges.setdefault(lead, {})[name] = [round(float(low), 3), round(float(high), 3)]
    text = {
        "source": "PTB-XL 1.0.3 (Wagner et al., Sci Data 2020;7:154; CC BY 4.0), folds 1 to 8",
        "records": n_records,
        "percentiles": list(PERCENTILES),
        "ranges": ranges,
    }
    path = assets_dir() / "natural_ranges.json"
    path.write_text(json.dumps(text, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
