"""``ecgxai concepts``: which measured features a model uses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import finish, progress_bar, say, show_table
from ecgxai_core.errors import ParameterError

__all__ = ["concepts"]


def concepts(
    data: options.DataOption,
    model: options.ModelOption,
    target: Annotated[
        list[str],
        typer.Option("--target", help="SNOMED-CT code or abbreviation; repeat for several"),
    ],
    out: Annotated[Path, typer.Option("--out", help=".html (a page) or .csv (all numbers)")],
    n: Annotated[
        int, typer.Option("--n", min=1, help="records at most, half of them with the target")
    ] = 100,
    method: Annotated[
        str,
        typer.Option("--method", help=f"makes the maps: none, or one of {options.METHODS_MARK}"),
    ] = "integrated_gradients",
    lead: Annotated[
        list[str] | None,
        typer.Option(
            "--lead", help="of ST level and T amplitude; repeat; I, II, V1-V6 if left out"
        ),
    ] = None,
    profile: options.ProfileOption = "default",
    settings: options.SetOption = None,
    seed: options.SeedOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Does the model use PR, QRS, QTc, ST level, T waves, absent P waves, uneven beats?

    Over the records: does the output follow the feature when the others are held? On each record:
    does it move when the feature alone is changed? The same command continues after an
    interruption.
    """
    import pandas as pd

    from ecgxai_core.audit.concepts import FEATURES, ConceptRequest, find_concepts, to_frame
    from ecgxai_core.report.concepts import concepts_report, concepts_words
    from ecgxai_core.store.atomic import write_bytes_atomic, write_csv_atomic
    from ecgxai_core.store.cache import open_store

    if out.suffix.lower() not in (".html", ".csv"):
        raise ParameterError("--out", out.name, "is neither .html nor .csv", "use one of them")
    chosen = options.chosen_profile(profile, ["segments=wave", *(settings or [])], seed)
    maps, leads = (None if method == "none" else method), tuple(lead or ())
    requests = [ConceptRequest(data, model, code, chosen, n, maps, leads) for code in target]
    with open_store() as store, progress_bar("concepts") as report:
        found = [find_concepts(one, store, checksum=checksum, progress=report) for one in requests]
    if out.suffix.lower() == ".html":
        write_bytes_atomic(out, concepts_report(found, model.name).encode("utf-8"))
    else:
        write_csv_atomic(out, pd.concat([to_frame(one) for one in found]))
    for item in found:
        shown = to_frame(item)[["feature", "verdict", "output_r", "output_q", "move", "move_q"]]
        titles = [FEATURES[name].title for name in shown["feature"]]
        show_table(shown.assign(feature=titles))
        say(concepts_words(item))
    say(f"written to {out}")
    finish([failure for item in found for failure in item.failures])
