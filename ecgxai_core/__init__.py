"""ECG-XAI: make, see and evaluate explanations of 12-lead ECG classifiers.

>>> import ecgxai_core as ecgxai
>>> record = ecgxai.read("A0001.hea")
>>> model = ecgxai.load_model()
>>> maps = ecgxai.explain(record, model, "AF", methods=["timeshap", "occlusion"])
>>> fused = ecgxai.fuse(maps)
>>> fused.plot(record)
>>> ecgxai.evaluate(fused, record, model).to_frame()

Names are imported when they are first used, and heavy libraries (TensorFlow, shap, lime, plotly)
inside the one function that needs each.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecgxai_core.api import (
        EvaluationResult,
        Maps,
        evaluate,
        explain,
        explain_all,
        extra_beat_test,
        fuse,
        load_model,
        plot,
        predict,
        read,
        select,
        simulate,
    )
    from ecgxai_core.case import Case
    from ecgxai_core.errors import EcgXaiError
    from ecgxai_core.foreign_maps import foreign_map, read_map, write_map
    from ecgxai_core.models.torch_module import wrap
    from ecgxai_core.params import Profile, profile
    from ecgxai_core.store import Store
    from ecgxai_core.types import (
        Attribution,
        FusedMap,
        Map,
        Prediction,
        Provenance,
        QualityWarning,
        Record,
        Score,
        Segmentation,
    )

__version__ = "0.2.0"

_HOME = {
    "ecgxai_core.api": (
        "EvaluationResult", "Maps", "evaluate", "explain", "explain_all", "extra_beat_test", "fuse",
        "load_model", "plot", "predict", "read", "select", "simulate",
    ),
    "ecgxai_core.case": ("Case",),
    "ecgxai_core.errors": ("EcgXaiError",),
    "ecgxai_core.foreign_maps": ("foreign_map", "read_map", "write_map"),
    "ecgxai_core.models.torch_module": ("wrap",),
    "ecgxai_core.params": ("Profile", "profile"),
    "ecgxai_core.store": ("Store",),
    "ecgxai_core.types": (
        "Attribution", "FusedMap", "Map", "Prediction", "Provenance", "QualityWarning", "Record",
        "Score", "Segmentation",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Attribution",
    "Case",
    "EcgXaiError",
    "EvaluationResult",
    "FusedMap",
    "Map",
    "Maps",
    "Prediction",
    "Profile",
    "Provenance",
    "QualityWarning",
    "Record",
    "Score",
    "Segmentation",
    "Store",
    "evaluate",
    "explain",
    "explain_all",
    "extra_beat_test",
    "foreign_map",
    "fuse",
    "load_model",
    "plot",
    "predict",
    "profile",
    "read",
    "read_map",
    "select",
    "simulate",
    "wrap",
    "write_map",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'ecgxai_core' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
