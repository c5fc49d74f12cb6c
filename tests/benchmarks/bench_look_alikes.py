"""Networks of the architecture of published models: what is rebuilt, how exactly, and the engine.

``python -m tests.benchmarks.bench_look_alikes``; random weights: nothing is said of their skill.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ecgxai_core.games.local.engine import engine_of
from ecgxai_core.models.keras_classifier import KerasClassifier, probe_rows
from ecgxai_core.models.loading import load_classifier
from ecgxai_core.models.onnx.graph import read_graph
from ecgxai_core.models.onnx.runtime import OnnxClassifier
from tests.models.onnx.networks import NETWORKS
from tests.models.onnx.test_load import SIGMOID, written


def main() -> None:
    print("| network | rebuilt | largest difference from ONNX Runtime | exact engine |")
    print("|---|---|---|---|")
    for name, (make, samples) in NETWORKS.items():
        data, classes = make(), 6 if name == "ribeiro" else 5
        with tempfile.TemporaryDirectory() as folder:
            kind = "probability" if name in SIGMOID else "logit"
            path = written(Path(folder), name, data, samples, classes, kind)
            model = load_classifier(path)
            rows = probe_rows(model.manifest)
            runtime = OnnxClassifier(data, read_graph(data, name), model.manifest, name)
            gap = np.abs(model.predict(rows) - runtime.predict(rows)).max()
            engine = engine_of(model)
        said = f"yes, to {engine.error:.0e}" if engine.part is not None else f"no: {engine.reason}"
        rebuilt = "yes" if isinstance(model, KerasClassifier) else "no"
        print(f"| {name} | {rebuilt} | {gap:.0e} | {said} |", flush=True)


if __name__ == "__main__":
    main()
