"""What a model says of the baselines themselves: none of them is neutral."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgxai_core.games.baselines import BASELINES, baseline_signal
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.types import Float32Array, ModelInput, Segmentation

__all__ = ["INTACT", "audit_baselines"]

INTACT = "intact"


def audit_baselines(
    classifier: Classifier,
    model_input: ModelInput,
    segmentation: Segmentation,
    kinds: Sequence[str] = tuple(BASELINES),
) -> dict[str, Float32Array]:
    """Probability of every class on the record with every cell masked, for each baseline.

    A game explains the difference between the intact record and this one. A baseline that the
    model takes for the diagnosis with high probability leaves little to explain, and evidence
    against every other diagnosis; so its probability stands beside every map made with it.

    Parameters
    ----------
    classifier, model_input, segmentation
        The model, what it sees, and how its time is cut; samples outside every segment (padding)
        stay as they are.
    kinds
        Names of baselines.

    Returns
    -------
    ``float32[class]`` by baseline, and first that of the record itself as :data:`INTACT`.
    """
    first, stop = int(segmentation.edges[0]), int(segmentation.edges[-1])
    signals = [model_input.values]
    for kind in kinds:
        masked = np.array(model_input.values, dtype=np.float32)
        masked[first:stop] = baseline_signal(kind, model_input, segmentation)[first:stop]
        signals.append(masked)
    probabilities = classifier.predict(np.stack(signals))
    return dict(zip((INTACT, *kinds), probabilities, strict=True))
