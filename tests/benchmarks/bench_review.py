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

from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.pipeline.predict import Predictions, RecordInfo
from ecgxai_core.records.catalogues.catalogue import read_entry
from ecgxai_core.records.catalogues.ptbxl import read_ptbxl
from ecgxai_core.settings import assets_dir
from ecgxai_core.study.review_queue import binary_entropy, review_queue
from ecgxai_core.training.scores import auroc
from ecgxai_core.types import BoolArray, FloatArray, IntArray, Prediction

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
    import keras

    entries = [entry for entry in read_ptbxl(folder) if entry.fold == FOLD]
    records = [read_entry(entry) for entry in entries]
    found = []
    for name in MODELS:
        classifier = load_classifier(assets_dir() / "models" / name / f"{name}.keras")
        network = keras.saving.load_model(
            assets_dir() / "models" / name / f"{name}.keras", compile=False
        )
        pooled = keras.Model(network.input, network.get_layer("probability").input)
        values = np.stack([prepare(record, classifier.manifest).values for record in records])
        parts = [pooled(values[i : i + 64], training=False) for i in range(0, len(values), 64)]
        rows = np.concatenate([np.asarray(part) for part in parts]).astype(np.float64)
        found.append((rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9))
    every = classifier.classes
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


def head(features: FloatArray, truth: BoolArray, asked: FloatArray) -> FloatArray:
    """``float64[record, class]``: probabilities of a head trained on the reviewed records."""
    from sklearn.linear_model import LogisticRegression

    columns = []
    for column in truth.T:
        if column.all() or not column.any():  # nothing to learn from: the share among the reviewed
            columns.append(np.full(len(asked), (column.sum() + 1) / (len(column) + 2)))
            continue
        model = LogisticRegression(C=STRENGTH, solver="newton-cholesky").fit(features, column)
        columns.append(model.predict_proba(asked)[:, 1])
    return np.stack(columns, axis=1)


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
    order: str, data: Data, seen: IntArray, left: IntArray, rng: np.random.Generator
) -> IntArray:
    """The ten that are reviewed next."""
    if order == "chance":
        return rng.permutation(left)[:ROUND]
    own, other = (head(x[seen], data.truth[seen], x[left]) for x in data.features)
    if order == "entropy, not made diverse":
        worth = binary_entropy(own).max(axis=1)
        return left[np.argsort(-worth, kind="stable")[:ROUND]]
    second = predictions(other, left, data.classes) if order == "disagreement" else None
    found = predictions(own, left, data.classes)
    queue = review_queue(found, "entropy" if second is None else "disagreement", other=second)
    return queue["record"].astype(int).to_numpy()[:ROUND]


def curve(order: str, data: Data, seed: int, most: int, repeat: int = 0) -> FloatArray:
    """AUROC after the start and after each round."""
    rng = np.random.default_rng(seed)
    pool, test = split(data.patients, rng)
    pool = rng.permutation(pool)
    seen, left = pool[:START], pool[START:]
    draw = np.random.default_rng([seed, 1 + repeat])
    features = data.features[0]
    found = []
    while True:
        p = head(features[seen], data.truth[seen], features[test])
        found.append(float(np.nanmean(auroc(data.truth[test], p.astype(np.float32)))))
        if len(seen) >= most:
            return np.array(found)
        taken = next_rows(order, data, seen, left, draw)
        seen, left = np.concatenate([seen, taken]), np.setdiff1d(left, taken, assume_unique=True)


def ceiling(data: Data, seed: int) -> float:
    """AUROC with every label of the pool."""
    pool, test = split(data.patients, np.random.default_rng(seed))
    features = data.features[0]
    p = head(features[pool], data.truth[pool], features[test])
    return float(np.nanmean(auroc(data.truth[test], p.astype(np.float32))))


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


def interval(values: FloatArray, of: object = np.mean) -> str:
    """95 % percentile interval over seeds, of a function of rows."""
    rng = np.random.default_rng(0)
    draws = [of(values[rng.integers(0, len(values), len(values))], axis=0) for _ in range(2000)]  # type: ignore[operator]
    low, high = np.percentile(draws, (2.5, 97.5))
    return f"{np.mean(values):+.4f} ({low:+.4f} to {high:+.4f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="PTB-XL in its official layout")
    parser.add_argument("--seeds", type=int, default=20, help="divisions of the fold")
    parser.add_argument("--most", type=int, default=400, help="reviews in the end")
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
        print(f"seed {seed + 1} of {options.seeds}", flush=True)
    print(f"{len(data.patients)} records, {len(data.classes)} classes, "
          f"AUROC with all labels of the pool {np.mean(full):.4f}")  # fmt: skip
    report({order: np.stack(rows) for order, rows in curves.items()}, counts)


def report(curves: dict[str, FloatArray], counts: FloatArray) -> None:
    marks = [int(n) for n in (100, 200, 400) if n <= counts[-1]]
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
        print(f"| {order} | " + " | ".join(cells) + f" | {needed(rows, chance, counts)} |")


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
