"""Server time of the dashboard (run it from the repository root).

Times are of the page's script, from its first line to the last message to the browser; what the
test harness adds is left out. Processor time stands beside wall time, for machines that do other
work meanwhile. Slider to new map: a run of the Fusion lab with 12 leads, the fused map drawn over
the trace, its scores and the lead ranking. Switching to a cached record: the Explain page. Size of
the ECG chart: 12 leads x 5000 samples with a map over it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import script_runner

from tests.app.judged import environment, opened
from tests.small import AF

_spent: list[tuple[float, float]] = []
"""Wall and processor seconds of every script run since it was cleared."""


def _timed(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Streamlit's function that runs a script, timed in the script's own thread."""

    def run(*arguments: Any) -> Any:
        wall, used = time.perf_counter(), time.thread_time()
        try:
            return execute(*arguments)
        finally:
            _spent.append((time.perf_counter() - wall, time.thread_time() - used))

    return run


def main(repeats: int = 40) -> None:
    """Print medians and 95th percentiles in milliseconds, and the size of the chart."""
    with pytest.MonkeyPatch.context() as patch, environment(patch):
        name = "exec_func_with_error_handling"
        patch.setattr(script_runner, name, _timed(getattr(script_runner, name)))
        lab = opened("fusion_lab", record="T000", target=AF)
        betas = [round(0.05 * (i % 20), 2) for i in range(repeats)]
        _say("slider to new map", 300, betas, lambda b: lab.slider(key="lab.beta").set_value(b))
        shares = [round(0.05 * (i % 20), 2) for i in range(repeats)]
        _say("weight to new map", 300, shares, lambda w: lab.slider(key="lab-weight").set_value(w))
        explain = opened("explain", record="T000", target=AF)
        names = [("T000", "T002")[i % 2] for i in range(repeats)]
        _say(
            "switch to a cached record",
            500,
            names,
            lambda name: explain.selectbox(key="record-choice").set_value(name),
        )
    print(f"ECG chart of 12 x 5000 samples with a map: {_chart_bytes() / 1e3:.0f} kB, goal 250 kB")


def _say(what: str, goal_ms: float, values: Sequence[Any], change: Callable[[Any], Any]) -> None:
    times, busy = [], []
    for value in values:
        touched = change(value)
        _spent.clear()
        at = touched.run()
        times.append(1e3 * sum(wall for wall, _ in _spent))
        busy.append(1e3 * sum(used for _, used in _spent))
        assert not at.exception
    for name, measured in (("wall", times), ("processor", busy)):
        ordered = sorted(measured[2:])
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        print(
            f"{what:26s} {name:9s} median {statistics.median(ordered):6.0f} ms"
            f"  p95 {p95:6.0f} ms  goal {goal_ms:.0f} ms"
        )


def _chart_bytes() -> int:
    import numpy as np

    from ecgxai_core.plots.paper import PaperStyle, ecg_figure
    from ecgxai_core.types import STANDARD_LEADS, Attribution, Provenance, Record

    rng = np.random.default_rng(0)
    record = Record("r", rng.normal(0, 0.2, (12, 5000)).astype(np.float32), 500.0, STANDARD_LEADS)
    overlay = Attribution(
        "r", AF, "lime", 0.9, STANDARD_LEADS, np.arange(41) * 0.25,
        rng.normal(size=(12, 40)).astype(np.float32), rng.random((12, 40)) < 0.5,
        Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip
    return len(ecg_figure(record, PaperStyle(layout="12x1"), overlay=overlay).to_json())


if __name__ == "__main__":
    main()
