"""Maps to evaluate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance

MakeMap = Callable[..., Attribution]


@pytest.fixture
def make_map() -> MakeMap:
    """An attribution from weights ``[lead, segment]``, half-second segments unless edges say so."""

    def make(
        weights: Any,
        edges: Sequence[float] | None = None,
        explored: Any = None,
        leads: tuple[str, ...] = STANDARD_LEADS,
        digest: str = "r",
    ) -> Attribution:
        values = np.asarray(weights, np.float32)
        times = np.arange(values.shape[1] + 1) * 0.5 if edges is None else np.asarray(edges)
        seen = np.ones(values.shape) if explored is None else np.asarray(explored)
        return Attribution(
            record="rec",
            target="164889003",
            method="lime",
            probability=0.9,
            leads=leads,
            edges_sec=times,
            weights=np.where(seen, values, 0),
            explored=seen.astype(np.bool_),
            provenance=Provenance(digest, "m", {}, 0, "0"),
        )

    return make
