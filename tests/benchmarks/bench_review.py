"""Does reviewing in the order of the queue reach the same AUROC with fewer reviews than chance?

    python -m tests.benchmarks.bench_review --data PTBXL

Fold 9 of PTB-XL, which the shipped models were not trained on (it chose their epoch), is divided by
patient into a pool, whose labels are hidden, and records for testing. On the pooled features of the
shipped ResNet a head (one logistic regression per class) is trained on the labels of the records
that were reviewed: at first forty at random, then ten more in each round, the next of the queue
that the head's own predictions give, or ten at random. Features of the second model serve the
disagreement of two models only. AUROC is the mean over classes on the records for testing.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from ecgxai_core.models.manifest import load_manifest
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.records.catalogues.ptbxl import read_ptbxl
from ecgxai_core.settings import assets_dir
from ecgxai_core.study.review_queue import binary_entropy, review_queue
from ecgxai_core.training.scores import auroc, macro
from ecgxai_core.types import BoolArray, FloatArray, IntArray, Prediction

Generator = np.random.Generator
FOLD, LEAST = 9, 20
START, ROUND = 40, 10
MODELS = ("ptbxl_resnet", "ptbxl_attention")
ORDERS = ("chance", "entropy", "entropy, not made diverse", "disagreement")
CHANCES = 3
"""Random orders of each split, of which the mean is taken."""
STRENGTH = 0.1
"""C of the logistic regressions; chosen before anything was measured."""


@dataclass(frozen=True)
class Data:
    """Features ``float64[record, feature]`` by model, labels, patients and classes of the fold."""

    features: tuple[FloatArray, ...]
    truth: BoolArray
    patients: tuple[str, ...]
    classes: tuple[str, ...]


def read(folder: Path) -> Data:
    """Pooled features of both models; samples as they are stored, which both models take."""
    import keras
    import wfdb

    entries = [entry for entry in read_ptbxl(folder) if entry.fold == FOLD]
    stored = [wfdb.rdrecord(str(entry.path.with_suffix(""))).p_signal for entry in entries]
    values = np.stack(stored).astype(np.float32)
    found = []
    for name in MODELS:
        file = assets_dir() / "models" / name / f"{name}.keras"
        manifest = load_manifest(file.with_suffix(".json"))
        every = manifest.classes
        assert (manifest.samples, manifest.fs, manifest.units) == (1000, 100.0, "mV")
        network = keras.saving.load_model(file, compile=False)
        pooled = keras.Model(network.input, network.get_layer("probability").input)
        parts = [pooled(values[i : i + 64], training=False) for i in range(0, len(values), 64)]
        rows = np.concatenate([np.asarray(part) for part in parts]).astype(np.float64)
        scaled = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9)
        found.append(np.hstack([scaled, np.ones((len(scaled), 1))]))
    labels = [set(entry.labels or ()) for entry in entries]
    truth = np.array([[name in own for name in every] for own in labels])
    kept = np.flatnonzero((truth.sum(axis=0) >= LEAST) & ((~truth).sum(axis=0) >= LEAST))
    return Data(
        tuple(found), truth[:, kept], tuple(entry.patient for entry in entries),
        tuple(every[i] for i in kept),
    )  # fmt: skip


def split(patients: Sequence[str], rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Rows of the pool and of the records for testing; no patient is in both."""
    names = np.unique(patients)
    chosen = rng.permutation(names)[: len(names) // 2]
    inside = np.isin(patients, chosen)
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def head(features: FloatArray, truth: BoolArray) -> FloatArray:
    """``float64[feature, class]``: one logistic regression per class, by Newton's method.

    The penalty is ``|w|^2 / (2 STRENGTH)`` as in scikit-learn, on the intercept (the last feature)
    a hundredth of it, so that a class without a positive record has finite weights.
    """
    x, y = features.astype(np.float32), truth.astype(np.float32)
    ridge = np.full(x.shape[1], 1 / STRENGTH, np.float32)
    ridge[-1] /= 100
    w = np.zeros((x.shape[1], y.shape[1]), np.float32)
    for _ in range(12):
        p = expit(x @ w)
        slope = x.T @ (p - y) + ridge[:, None] * w
        bends = np.stack([(x * one[:, None]).T @ x for one in (p * (1 - p)).T])
        bends += np.diag(ridge)
        step = np.linalg.solve(bends, slope.T[:, :, None])[:, :, 0].T
        w -= step
        if np.abs(step).max() < 1e-3:
            break
    return w.astype(np.float64)


def predictions(p: FloatArray, rows: IntArray, classes: tuple[str, ...]) -> Predictions:
    infos = tuple(
        RecordInfo(Path(), str(row), str(row), 10.0, None, False, ()) for row in rows
    )  # fmt: skip
    values = tuple(
        Prediction(info.name, classes, one.astype(np.float32), info.digest, "")
        for info, one in zip(infos, p, strict=True)
    )
    return Predictions(infos, values, classes, ())


def next_rows(
    order: str, data: Data, seen: IntArray, left: IntArray, own: FloatArray, draw: Generator
) -> IntArray:
    """The ten that are reviewed next; ``own`` are probabilities of those that are left."""
    if order == "chance":
        return draw.permutation(left)[:ROUND]
    if order == "entropy, not made diverse":
        worth = binary_entropy(own).max(axis=1)
        return left[np.argsort(-worth, kind="stable")[:ROUND]]
    found = predictions(own, left, data.classes)
    if order == "entropy":
        queue = review_queue(found, "entropy")
    else:
        features = data.features[1]
        other = expit(features[left] @ head(features[seen], data.truth[seen]))
        queue = review_queue(
            found, "disagreement", other=predictions(other, left, data.classes)
        )  # fmt: skip
    return queue["record"].astype(int).to_numpy()[:ROUND]


def curve(order: str, data: Data, seed: int, most: int, repeat: int = 0) -> FloatArray:
    """AUROC after the start and after each round."""
    rng = np.random.default_rng(seed)
    pool, test = split(data.patients, rng)
    pool = rng.permutation(pool)
    seen, left = pool[:START], pool[START:]
    draw = np.random.default_rng([seed, 1 + repeat])
    features, found = data.features[0], []
    while True:
        w = head(features[seen], data.truth[seen])
        found.append(macro(auroc(data.truth[test], expit(features[test] @ w))))
        if len(seen) >= most:
            return np.array(found)
        taken = next_rows(order, data, seen, left, expit(features[left] @ w), draw)
        seen, left = np.concatenate([seen, taken]), np.setdiff1d(left, taken, assume_unique=True)


def ceiling(data: Data, seed: int) -> float:
    """AUROC with every label of the pool."""
    pool, test = split(data.patients, np.random.default_rng(seed))
    features = data.features[0]
    w = head(features[pool], data.truth[pool])
    return macro(auroc(data.truth[test], expit(features[test] @ w)))


def reviews_needed(curve_: FloatArray, counts: FloatArray, level: float) -> float:
    """Reviews at which a curve first reaches a level, by linear interpolation; NaN = never."""
    at = np.flatnonzero(curve_ >= level)
    if not len(at):
        return float("nan")
    first = int(at[0])
    if first == 0:
        return float(counts[0])
    low, high = curve_[first - 1], curve_[first]
    share = (level - low) / (high - low)
    return float(counts[first - 1] + share * (counts[first] - counts[first - 1]))


def interval(values: FloatArray) -> str:
    """Mean over seeds with a 95 % percentile interval."""
    rng = np.random.default_rng(0)
    draws = values[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    return f"{np.mean(values):+.4f} ({low:+.4f} to {high:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="PTB-XL in its official layout")
    parser.add_argument("--seeds", type=int, default=20, help="divisions of the fold")
    parser.add_argument("--most", type=int, default=300, help="reviews in the end")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    data = read(options.data)
    counts = np.arange(START, options.most + 1, ROUND, dtype=np.float64)
    curves: dict[str, list[FloatArray]] = {order: [] for order in ORDERS}
    full = []
    for seed in range(options.seeds):
        full.append(ceiling(data, seed))
        for order in ORDERS:
            repeats = range(CHANCES if order == "chance" else 1)
            every = [curve(order, data, seed, options.most, repeat) for repeat in repeats]
            curves[order].append(np.mean(every, axis=0))
        if seed % 5 == 4 or seed + 1 == options.seeds:
            print(f"{seed + 1} divisions of {len(data.patients)} records, {len(data.classes)} "
                  f"classes; AUROC with all labels of the pool {np.mean(full):.4f}")  # fmt: skip
            report({order: np.stack(rows) for order, rows in curves.items()}, counts)


def report(curves: dict[str, FloatArray], counts: FloatArray) -> None:
    marks = [int(n) for n in (100, 200, 300) if n <= counts[-1]]
    at = [int(np.flatnonzero(counts == n)[0]) for n in marks]
    print("| order | " + " | ".join(f"AUROC after {n}, less chance's" for n in marks)
          + " | reviews for what chance reaches with " + f"{counts[-1]:.0f} |")  # fmt: skip
    print("|---|" + "---|" * (len(marks) + 1))
    chance = curves["chance"]
    said = " | ".join(f"{chance[:, i].mean():.4f}" for i in at)
    print(f"| chance | {said} | {counts[-1]:.0f} |")
    for order, rows in curves.items():
        if order == "chance":
            continue
        cells = [interval(rows[:, i] - chance[:, i]) for i in at]
        said = f"{' | '.join(cells)} | {needed(rows, chance, counts)}"
        print(f"| {order} | {said} |", flush=True)


def needed(rows: FloatArray, chance: FloatArray, counts: FloatArray) -> str:
    """Reviews by the mean curves, with a percentile interval over seeds."""

    def of(chosen: IntArray) -> float:
        level = float(chance[chosen].mean(axis=0)[-1])
        return reviews_needed(rows[chosen].mean(axis=0), counts, level)

    rng, n = np.random.default_rng(0), len(rows)
    draws = np.array([of(rng.integers(0, n, n)) for _ in range(2000)])
    never = float(np.mean(~np.isfinite(draws)))
    value = of(np.arange(n))
    if not np.isfinite(value):
        return f"more than {counts[-1]:.0f}"
    if never > 0.025:
        return f"{value:.0f} ({np.nanpercentile(draws, 2.5):.0f} to more than {counts[-1]:.0f})"
    low, high = np.percentile(draws[np.isfinite(draws)], (2.5, 97.5))
    return f"{value:.0f} ({low:.0f} to {high:.0f})"


if __name__ == "__main__":
    main()
