"""An explanation for worker processes under test that holds where it is looked at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from app.data.work import CaseFile
from ecgxai_core.params import ExplainParams
from ecgxai_core.pipeline.explain import explain_case
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import Attribution


def refined(file: CaseFile, params: Mapping[str, ExplainParams], *, progress: Any) -> None:
    """Hold after each preliminary map until the file ``go`` is in the cache folder."""

    def hold(_preview: Attribution) -> None:
        while not (file.place.folder / "go").exists():
            check_stop()
            time.sleep(0.02)

    with file.place.store() as store:
        explain_case(file.read(), params, store, progress, hold)
