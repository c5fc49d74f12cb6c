"""Records called unlike the training data: ``python -m tests.benchmarks.bench_unlike``.

Of each shipped model: the share of sound records (the fold kept out of training, LUDB, and of the
CinC 2020 sample those that are not of PTB-XL) and of made faults on ``--faulty`` records of that
fold that are farther from the training data than the model's limit. Limits are of the same fold,
where one record in a hundred is beyond them by definition.
"""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ecgxai_core.errors import EcgXaiError
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.records import find_records, read_record
from ecgxai_core.types import STANDARD_LEADS, Float32Array, FloatArray, Record
from tests.benchmarks.bench_quality import FAULTS, Fault, Sample

MODELS = ("ptbxl_resnet", "ptbxl_attention")
KEPT_FOLD = 9


def noise(size: float) -> Fault:
    return lambda signal, fs, rng: (signal + rng.normal(0, size, signal.shape), fs)


def nothing(signal: FloatArray, fs: float, rng: np.random.Generator) -> Sample:
    return np.zeros_like(signal), fs


def only_noise(signal: FloatArray, fs: float, rng: np.random.Generator) -> Sample:
    return rng.normal(0, 0.3, signal.shape), fs


def backwards(signal: FloatArray, fs: float, rng: np.random.Generator) -> Sample:
    return np.ascontiguousarray(signal[:, ::-1]), fs


CHANGES: dict[str, Fault] = {
    **{
        name: FAULTS[name][1]
        for name in (
            "amplitudes x 0.1", "amplitudes x 0.5", "amplitudes x 2", "amplitudes x 5",
            "amplitudes x 10", "rate stated half", "rate stated double", "V1 and V6 exchanged",
            "arm electrodes exchanged",
        )
    },
    "noise of 0.1 mV added": noise(0.1),
    "noise of 0.5 mV added": noise(0.5),
    "noise of 0.3 mV alone": only_noise,
    "flat line": nothing,
    "played backwards": backwards,
}  # fmt: skip


def inputs(records: Iterable[Record], classifier: KerasClassifier) -> Float32Array:
    """Model inputs of the records that the model takes."""
    found = []
    for record in records:
        try:
            found.append(prepare(record, classifier.manifest).values)
        except EcgXaiError as error:
            print(f"left out: {error}")
    return np.stack(found)


def record_of(signal: FloatArray, fs: float) -> Record:
    """A record with this signal, ``float64[12, sample]`` in mV."""
    return Record("made", signal.astype(np.float32), fs, STANDARD_LEADS)


def share(values: Float32Array, classifier: KerasClassifier) -> str:
    unlike = classifier.unlike_training(values)
    return f"{100 * unlike.mean():.1f} % of {len(unlike)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path("assets/models"))
    parser.add_argument("--faulty", type=int, default=200)
    chosen = parser.parse_args()
    load = runpy.run_path(str(chosen.data / "ptbxl100" / "unpack.py"))["load_fold"]
    kept = [counts.astype(np.float64) / 1000.0 for counts in load(KEPT_FOLD)[1]]
    sets = {
        "LUDB": chosen.data / "ludb" / "data",
        "CinC 2020 sample, CPSC": chosen.data / "cinc2020_sample",
    }
    print("| records | " + " | ".join(MODELS) + " |\n|---|" + "---|" * len(MODELS))
    loaded = [load_classifier(chosen.models / name / f"{name}.keras") for name in MODELS]
    classifiers = [item for item in loaded if isinstance(item, KerasClassifier)]

    def row(name: str, records: list[Record]) -> None:
        shares = [share(inputs(records, classifier), classifier) for classifier in classifiers]
        print(f"| {name} | " + " | ".join(shares) + " |", flush=True)

    row(f"PTB-XL, fold {KEPT_FOLD}", [record_of(signal, 100.0) for signal in kept])
    for name, folder in sets.items():
        paths = [path for path in find_records([folder]) if not path.stem.startswith("HR")]
        row(name, [read_record(path) for path in paths])
    some = kept[:: max(1, len(kept) // chosen.faulty)][: chosen.faulty]
    for name, change in CHANGES.items():
        rng = np.random.default_rng(0)
        row(name, [record_of(*change(signal, 100.0, rng)) for signal in some])


if __name__ == "__main__":
    main()
