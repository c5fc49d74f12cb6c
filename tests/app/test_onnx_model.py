"""An ONNX model in the dashboard: explained as any other, by the exact engine where it is local."""

from __future__ import annotations

import time

import pytest

from tests.app.evaluated import environment, opened, settled, texts
from tests.small import AF

pytest.importorskip("onnx", reason="needs the optional extra onnx")
pytest.importorskip("onnxruntime", reason="needs the optional extra onnx")


LOCAL = {"resnet1d_wang", "xresnet1d50", "inception1d"}
"""Convolutions, pooling, an average and a dense layer: what the exact engine plays."""


@pytest.mark.parametrize("name", [*sorted(LOCAL), "ribeiro", "net1d"])
def test_a_look_alike_of_a_published_model_is_explained(tmp_path, monkeypatch, name):
    from tests.models.onnx.networks import NETWORKS
    from tests.models.onnx.test_load import SIGMOID, written

    make, samples = NETWORKS[name]
    classes, output = 6 if name == "ribeiro" else 5, "probability" if name in SIGMOID else "logit"
    written(tmp_path, "look_alike", make(), samples, classes, output)
    with environment(monkeypatch, ECGXAI_MODELS=str(tmp_path)):
        quick = {"explain.n_coalitions": "32", "explain.n_lead_coalitions": "16",
                 "explain.top_events": "2", "explain.window_sec": "1.0"}  # fmt: skip
        at = opened(
            "explain", record="T000", target=AF, model="look_alike", method="timeshap", **quick
        )
        next(b for b in at.button if b.label.startswith("Explain with")).click().run()
        for _ in range(100):
            if "Leads by weight" in texts(settled(at)):
                break
            time.sleep(0.2)
            at.run()
        said = texts(at)
        assert "Leads by weight" in said
        assert ("Masked records were computed exactly" in said) == (name in LOCAL)
        assert "look_alike" in at.query_params["model"]
