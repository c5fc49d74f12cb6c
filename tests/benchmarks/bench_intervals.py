"""Coverage of the intervals of all tables.

``PYTHONPATH=. python tests/benchmarks/bench_intervals.py``

Not a test: 2,000 samples of each distribution and size, 1,000 resamples each; 40 s on one core.
``--scores FILE.csv`` adds the columns of a real table of scores (``df_eval_attauc_deletion.csv`` of
a run, say): records drawn from it with replacement, whose mean is known. Prints a table: how often
the 95 % interval holds the mean, of the samples that have an interval and, in brackets, how many
have none because all values are equal. One-sided: how often the mean lies below the interval, which
is the rate of false passes of a map that is no better than its reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ecgxai_core.bootstrap import mean_interval
from ecgxai_core.types import FloatArray

AF = "164889003"
SIZES = (10, 15, 20, 50)
Draw = Callable[[np.random.Generator, int], FloatArray]

KNOWN: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, n: rng.normal(size=n), 0.0),
    "lognormal(0, 1)": (lambda rng, n: rng.lognormal(size=n), float(np.exp(0.5))),
    "minus lognormal(0, 1)": (lambda rng, n: -rng.lognormal(size=n), -float(np.exp(0.5))),
    "Bernoulli(0.8)": (lambda rng, n: (rng.random(n) < 0.8).astype(np.float64), 0.8),
}


def coverage(draw: Draw, mean: float, n: int, samples: int) -> tuple[float, float, float]:
    """Share of intervals that hold the mean, share without an interval, share above the mean."""
    rng = np.random.default_rng(n)
    holds = missing = above = 0
    for seed in range(samples):
        low, high = mean_interval(draw(rng, n), confidence=0.95, n_resamples=1000, seed=seed)
        missing += int(np.isnan(low))
        holds += int(low <= mean <= high)
        above += int(low > mean)
    made = max(1, samples - missing)
    return holds / made, missing / samples, above / made


def of_table(path: Path, columns: Sequence[str]) -> dict[str, tuple[Draw, float]]:
    """Real scores as populations."""
    import pandas as pd

    frame = pd.read_csv(path)
    found = {}
    for name in columns:
        values = frame[name].dropna().to_numpy(np.float64)

        def draw(rng: np.random.Generator, n: int, values: FloatArray = values) -> FloatArray:
            return rng.choice(values, n)

        found[f"{name} ({len(values)} records)"] = (draw, float(values.mean()))
    return found


def of_sample(folder: Path) -> dict[str, tuple[Draw, float]]:
    """Real scores of real records as populations."""
    import tempfile

    import pandas as pd

    from ecgxai_core.case import Case
    from ecgxai_core.explainers import explain
    from ecgxai_core.metrics.plausibility import plausibility
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.params import profile
    from ecgxai_core.pipeline.evaluation import beats_of
    from ecgxai_core.records.read import find_records, read_record
    from ecgxai_core.settings import default_model

    model, chosen, rows = LazyClassifier(default_model()), profile("default"), []
    for path in find_records([folder]):
        record = read_record(path)
        if AF not in (record.labels or ()):
            continue
        case = Case(record, model, AF)
        item = explain(case, "input_x_gradient", chosen.for_method("input_x_gradient"))
        known = beats_of(record)
        scores = plausibility(item, case.diagnosis, known.seconds, known.rate, chosen.evaluation)
        rows.append({score.metric: score.value for score in scores})
    with tempfile.TemporaryDirectory() as place:
        table = Path(place) / "scores.csv"
        pd.DataFrame(rows).to_csv(table, index=False)
        return of_table(table, ["attauc_strict", "attauc_lenient", "precision_strict"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--scores", type=Path)
    parser.add_argument(
        "--columns", nargs="*", default=["attauc_strict", "deletion_gain", "insertion_gain"]
    )
    parser.add_argument("--sample", type=Path)
    parser.add_argument("--real", action="store_true")
    chosen = parser.parse_args()
    known = {} if chosen.real else dict(KNOWN)
    if chosen.sample:
        known |= of_sample(chosen.sample)
    if chosen.scores:
        known |= of_table(chosen.scores, chosen.columns)
    print(f"| distribution | {' | '.join(f'n = {n}' for n in SIZES)} | mean below the interval |")
    print("|---" * (len(SIZES) + 2) + "|")
    for name, (draw, mean) in known.items():
        cells, above = [], []
        for n in SIZES:
            held, missing, over = coverage(draw, mean, n, chosen.samples)
            cells.append(f"{held:.3f}" + (f" ({missing:.1%} without)" if missing else ""))
            above.append(f"{over:.3f}")
        print(f"| {name} | {' | '.join(cells)} | {', '.join(above)} |", flush=True)


if __name__ == "__main__":
    main()
