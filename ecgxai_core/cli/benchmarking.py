"""``ecgxai benchmark``: which methods find the evidence that a model uses?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgxai_core.cli.console import say
from ecgxai_core.cli.options import METHODS_MARK, JobsOption, ListingCommand

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app"]

app = typer.Typer(help="Explanations against a known truth.", no_args_is_help=True)

LUDB_METHODS = ("occlusion", "integrated_gradients", "input_x_gradient", "lrp", "grad_cam")
"""Methods that resolve single waves without many forward passes."""

OutOption = Annotated[Path, typer.Option("--out", help="folder of tables and trained models")]
MethodsOption = Annotated[
    list[str] | None,
    typer.Option("--method", help=f"only these methods; repeat for several: {METHODS_MARK}"),
]


@app.command(cls=ListingCommand)
def planted(
    out: OutOption,
    n: Annotated[int, typer.Option("--n", min=1, help="records per mechanism and model")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of records and models")] = 0,
    method: MethodsOption = None,
) -> None:
    """Simulated evidence: detectors and networks that use it, and a detector that cheats.

    Records are simulated: the figures say nothing about performance on patients.
    """
    from ecgxai_core.audit.planted import METRICS, planted_benchmark, unmasked

    found = planted_benchmark(out / "models", n=n, seed=seed, only=method, say=say)
    _save(out, "planted", found.scores, found.summary, ("model", "method"), METRICS)
    caught = [name for name, yes in unmasked(found.scores).items() if yes and name != "oracle"]
    say(f"the detector that cheats is unmasked by {', '.join(caught) or 'no method'}")


@app.command(cls=ListingCommand)
def ludb(
    data: Annotated[Path, typer.Option("--data", help="folder of LUDB")],
    out: OutOption,
    model: Annotated[
        Path | None, typer.Option("--model", help="the model; the shipped one if left out")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="records per diagnosis at most")] = 5,
    method: MethodsOption = None,
    jobs: JobsOption = 1,
) -> None:
    """Real records: does the evidence lie on the waves that cardiologists marked?

    LUDB has few records per diagnosis, so only the pooled rows support a conclusion.
    """
    from ecgxai_core.audit.ludb import METRICS, ludb_benchmark
    from ecgxai_core.settings import default_model

    chosen = method or list(LUDB_METHODS)
    scores, summary = ludb_benchmark(
        data, model or default_model(), chosen, per_diagnosis=n, jobs=jobs, say=say
    )
    _save(out, "ludb", scores, summary, ("diagnosis", "method"), METRICS)


def _save(
    out: Path, name: str, scores: pd.DataFrame, summary: pd.DataFrame, keys: Any, metrics: Any
) -> None:
    """Write the scores of every record and the summary, which is also printed."""
    from ecgxai_core.audit.benchmark_tables import markdown
    from ecgxai_core.store.atomic import write_csv_atomic

    out.mkdir(parents=True, exist_ok=True)
    write_csv_atomic(out / f"{name}_scores.csv", scores)
    write_csv_atomic(out / f"{name}.csv", summary)
    table = markdown(summary, keys, metrics)
    (out / f"{name}.md").write_text(table)
    say(table)
