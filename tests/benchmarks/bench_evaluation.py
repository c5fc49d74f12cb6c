"""All metrics on many records: ``PYTHONPATH=. python tests/benchmarks/bench_evaluation.py``.

Not a test: what it prints depends on the machine. Five methods of different families and their
fused map, every metric, the shipped model; the aim is 50 records within 60 minutes on two cores.
The cache is kept in ``--cache``, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd

from ecgxai_core.errors import EcgXaiError
from ecgxai_core.params import profile
from ecgxai_core.pipeline.evaluating import evaluate_all
from ecgxai_core.pipeline.lazy import LazyClassifier
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import default_model
from ecgxai_core.simulate.dataset import write_set
from ecgxai_core.store.cache import Store

METHODS = ("timeshap", "occlusion", "integrated_gradients", "lrp", "grad_cam")


def main() -> None:
    """Evaluate, and print time and means."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=50)
    parser.add_argument("--cache", type=Path, default=Path("runs/bench_evaluation"))
    parser.add_argument("--method", nargs="+", default=list(METHODS))
    chosen = parser.parse_args()
    folder = chosen.cache / "records"
    headers = write_set(folder, chosen.records, 7)
    classifier = LazyClassifier(default_model())
    settings = profile("default")
    tables = []
    store = Store(chosen.cache / "cache", 10**9)
    begun = time.perf_counter()
    for number, header in enumerate(headers, start=1):
        record = read_record(header)
        targets = [code for code in record.labels or () if code in classifier.classes]
        try:
            for target in targets[-1:]:
                tables.append(
                    evaluate_all(record, classifier, target, settings, store, methods=chosen.method)
                )
        except EcgXaiError as error:
            print(error)
        seconds = time.perf_counter() - begun
        print(f"{number} of {len(headers)}: {seconds:.0f} s, {seconds / number:.1f} s a record")
    store.close()
    scores = pd.concat(tables, ignore_index=True)
    scores.to_csv(chosen.cache / "scores.csv", index=False)
    shown = ["deletion_gain", "comprehensiveness", "max_sensitivity", "attauc_strict"]
    columns = [name for name in shown if name in scores]
    print(scores.groupby("method")[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main()
