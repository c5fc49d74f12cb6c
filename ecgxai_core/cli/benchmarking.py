"""``ecgxai benchmark``: which methods find what a model really uses?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say

__all__ = ["app"]

app = typer.Typer(help="Explanations against a known truth.", no_args_is_help=True)

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
