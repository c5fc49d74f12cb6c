"""PyTorch modules as classifiers; skipped where PyTorch is not installed."""

from __future__ import annotations

import numpy as np
import pytest

import ecgxai_core as ecgxai
from ecgxai_core.errors import ModelError
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.local_network import LocalNetwork
from ecgxai_core.models.onnx.runtime import OnnxClassifier
from ecgxai_core.types import STANDARD_LEADS

torch = pytest.importorskip("torch", reason="needs the optional extra torch")
nn = torch.nn

AF = "164889003"
SAMPLES = 400
MANIFEST = {
    "classes": ["426783006", AF, "59118001"], "fs": 100, "samples": SAMPLES,
    "leads": list(STANDARD_LEADS), "units": "mV", "pad": "end_zero", "crop": "start",
    "output": "logit", "source": "random weights, for tests",
}  # fmt: skip


class Block(nn.Module):
    """Residual block with squeeze-and-excitation, as in Net1D."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv1d(width, width, 7, padding=3) for _ in range(2))
        self.norm, self.drop = nn.BatchNorm1d(width), nn.Dropout(0.5)
        self.squeeze, self.excite = nn.Linear(width, width // 2), nn.Linear(width // 2, width)

    def forward(self, x):
        y = self.second(self.drop(torch.relu(self.norm(self.first(x)))))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean(-1)))))
        return x + y * gate.unsqueeze(-1)


class Network(nn.Module):
    def __init__(self, block: bool = False, leads_last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.leads_last = leads_last
        self.stem = nn.Sequential(nn.Conv1d(12, 16, 9, stride=2, padding=4), nn.ReLU())
        self.block = Block(16) if block else nn.Conv1d(16, 16, 5, padding=2)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = x.transpose(1, 2) if self.leads_last else x
        return self.head(torch.relu(self.block(self.stem(x))).mean(-1))


class Attentive(nn.Module):
    """A transformer over pieces of the record, which runs through ONNX Runtime."""

    leads_last = False

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cut = nn.Conv1d(12, 16, 10, stride=10)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(self.cut(x).transpose(1, 2)).mean(1))


class AnyLayout(nn.Module):
    def forward(self, x):
        return x.mean((1, 2)).unsqueeze(1) * torch.ones(1, 3)


def own(module, rows):
    """PyTorch's probabilities of rows ``[record, sample, lead]``."""
    with torch.no_grad():
        given = torch.from_numpy(rows if module.leads_last else rows.transpose(0, 2, 1).copy())
        return torch.sigmoid(module.eval()(given)).numpy()


@pytest.mark.parametrize(("block", "leads_last"), [(False, False), (True, False), (False, True)])
def test_a_module_is_explained_as_any_model(block, leads_last):
    module = Network(block, leads_last).train()
    module.stem.eval()
    model = ecgxai.wrap(module, MANIFEST)
    assert (module.training, module.stem.training) == (True, False), "left as it was"
    assert isinstance(model, KerasClassifier)
    rows = np.random.default_rng(0).normal(size=(3, SAMPLES, 12)).astype(np.float32)
    assert np.allclose(model.predict(rows), own(module, rows), atol=1e-4)
    assert isinstance(model.local_part(), LocalNetwork) == (not block)
    record = ecgxai.simulate("sinus_rhythm", seed=1, duration=4)
    maps = ecgxai.explain(
        record, model, AF, ["timeshap", "integrated_gradients", "grad_cam"],
        window_sec=0.5, n_coalitions=32, n_lead_coalitions=16, top_events=2,
    )  # fmt: skip
    assert all(np.isfinite(item.weights[item.explored]).all() for item in maps.values())
    assert ecgxai.wrap(module, MANIFEST).digest == model.digest


def test_attention_runs_without_gradients():
    module = Attentive()
    model = ecgxai.wrap(module, MANIFEST)
    assert isinstance(model, OnnxClassifier)
    rows = np.random.default_rng(0).normal(size=(2, SAMPLES, 12)).astype(np.float32)
    assert np.allclose(model.predict(rows), own(module, rows), atol=1e-4)
    record = ecgxai.simulate("sinus_rhythm", seed=1, duration=4)
    maps = ecgxai.explain(record, model, AF, "occlusion", window_sec=1)
    assert np.isfinite(maps["occlusion"].weights).all()


def test_windows_of_a_module_are_combined():
    module = Network()
    windows = {"samples": SAMPLES, "step": SAMPLES // 2, "combine": "mean"}
    model = ecgxai.wrap(module, {**MANIFEST, "samples": 2 * SAMPLES, "windows": windows})
    rows = np.random.default_rng(0).normal(size=(2, 2 * SAMPLES, 12)).astype(np.float32)
    parts = [own(module, rows[:, k : k + SAMPLES]) for k in (0, 200, 400)]
    assert np.allclose(model.predict(rows), np.mean(parts, axis=0), atol=1e-4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ModelError, match="samples"):
        ecgxai.wrap(Network(), {**MANIFEST, "leads": ["II"]})
    with pytest.raises(ModelError, match="column"):
        ecgxai.wrap(Network(), {**MANIFEST, "classes": [AF]})
    with pytest.raises(ModelError, match="layout="):
        ecgxai.wrap(AnyLayout(), MANIFEST)
    with pytest.raises(ModelError, match=r"torch\.nn\.Module"):
        ecgxai.wrap(b"weights", MANIFEST)
