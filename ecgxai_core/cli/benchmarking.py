"""``ecgxai benchmark``: which methods find what a model really uses?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say
from ecgxai_core.cli.options import JobsOption

__all__ = ["app"]

app = typer.Typer(help="Explanations against a known truth.", no_args_is_help=True)

LUDB_METHODS = ("occlusion", "integrated_gradients", "input_x_gradient", "lrp", "grad_cam")
"""Methods whose maps can be as fine as a wave without many forward passes."""

OutOption = Annotated[Path, typer.Option("--out", help="folder of tables and trained models")]
MethodsOption = Annotated[
    list[str] | None, typer.Option("--method", help="only these methods; repeat for several")
]


@app.command("planted")
def planted(
    out: OutOption,
    n: Annotated[int, typer.Option("--n", min=1, help="records a mechanism and model")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of records and models")] = 0,
    method: MethodsOption = None,
) -> None:
    """Simulated evidence: detectors and networks that use it, and a network that cheats.

    Simulated records teach and test; the figures never stand for real performance.
    """
    from ecgxai_core.benchmark.planted import METRICS, planted_benchmark, unmasked
    from ecgxai_core.benchmark.tables import markdown

    out.mkdir(parents=True, exist_ok=True)
    found = planted_benchmark(out / "models", n=n, seed=seed, only=method, say=say)
    found.scores.to_csv(out / "planted_scores.csv", index=False)
    found.summary.to_csv(out / "planted.csv", index=False)
    table = markdown(found.summary, ("model", "method"), METRICS)
    (out / "planted.md").write_text(table)
    say(table)
    caught = [name for name, yes in unmasked(found.scores).items() if yes and name != "oracle"]
    say(f"the cheat is unmasked by {', '.join(caught) or 'no method'}")


@app.command("ludb")
def ludb(
    data: Annotated[Path, typer.Option("--data", help="folder of LUDB")],
    out: OutOption,
    model: Annotated[
        Path | None, typer.Option("--model", help="the model; the shipped one if left out")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="records a diagnosis at most")] = 5,
    method: MethodsOption = None,
    jobs: JobsOption = 1,
) -> None:
    """Real records: does the evidence lie on the waves that cardiologists marked?

    LUDB has few records of a diagnosis: look at the pooled rows, and claim nothing from the others.
    """
    from ecgxai_core.benchmark.ludb import METRICS, ludb_benchmark
    from ecgxai_core.benchmark.tables import markdown
    from ecgxai_core.settings import default_model

    chosen = method or list(LUDB_METHODS)
    out.mkdir(parents=True, exist_ok=True)
    scores, summary = ludb_benchmark(
        data, model or default_model(), chosen, per_diagnosis=n, jobs=jobs, say=say
    )
    scores.to_csv(out / "ludb_scores.csv", index=False)
    summary.to_csv(out / "ludb.csv", index=False)
    table = markdown(summary, ("diagnosis", "method"), METRICS)
    (out / "ludb.md").write_text(table)
    say(table)
