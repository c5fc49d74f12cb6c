"""``ecgxai compare`` and ``ecgxai cohort``: two models on one record, and many records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import finish, progress_bar, say, say_map_warnings
from ecgxai_core.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecgxai_core.audit.cohort import Cohort
    from ecgxai_core.case import Case
    from ecgxai_core.params import EvaluationParams, Profile
    from ecgxai_core.progress import Progress
    from ecgxai_core.report.comparison import ModelView
    from ecgxai_core.store.cache import Store

__all__ = ["cohort", "compare", "refuse_cohort_form", "write_cohorts"]

_FORMS = (".html", ".svg", ".pdf", ".png")


def compare(
    record: Annotated[Path, typer.Argument(help="one record (.hea, .mat, .dat or .dcm)")],
    model: Annotated[list[Path], typer.Option("--model", help="a model; give two")],
    out: Annotated[
        Path, typer.Option("--out", help=".html (a page), or .svg, .pdf, .png (the figure)")
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", help="SNOMED-CT code or abbreviation; else the likeliest of both"),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help=f"fused, or one of {options.METHODS_MARK}")
    ] = "fused",
    profile: options.ProfileOption = "default",
    settings: options.SetOption = None,
    seed: options.SeedOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Two models on one record: trace, predictions, maps, overlays, and how far they agree."""
    from ecgxai_core.case import Case
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.pipeline.predict import checksum_policy
    from ecgxai_core.plots.panels import panel_figure
    from ecgxai_core.records.read import read_record
    from ecgxai_core.report.comparison import (
        TwoModels,
        agreement_words,
        comparison_report,
        likeliest,
    )
    from ecgxai_core.store.atomic import write_bytes_atomic
    from ecgxai_core.store.cache import open_store

    form = out.suffix.lower()
    if form not in _FORMS:
        problem = f"is none of {', '.join(_FORMS)}"
        raise ParameterError("--out", out.name, problem, "use one of them")
    if len(model) != 2:
        raise ParameterError("--model", f"{len(model)} given", "two are compared", "give it twice")
    chosen = options.chosen_profile(profile, settings, seed)
    ecg = read_record(record, checksum=checksum_policy(checksum))
    loaded = [LazyClassifier(path) for path in model]
    names = [path.name for path in model]
    if names[0] == names[1]:  # the same file name in two folders
        names = [f"{path.parent.name}/{path.name}" for path in model]
    first, second = (Case(ecg, one, target or one.classes[0]) for one in loaded)
    if target is None:
        codes = likeliest(first, second)
        first, second = (
            case.changed(target=code) for case, code in zip((first, second), codes, strict=True)
        )
    with open_store() as store, progress_bar("compare") as report:
        how = method, chosen
        views = (
            _view(names[0], first, how, store, report),
            _view(names[1], second, how, store, report),
        )
    found = TwoModels(ecg, *views, method, chosen)
    sides = [view.side() for view in views]
    if form == ".html":
        page = comparison_report(found, panel_figure(ecg, sides, found.title))
        write_bytes_atomic(out, page.encode("utf-8"))
    else:
        write_bytes_atomic(out, panel_figure(ecg, sides, found.title, form.lstrip(".")))  # type: ignore[arg-type]
    say(f"{found.title}: {out}")
    say(agreement_words(found))
    for view in views:
        say_map_warnings(view.item.warnings)


def _view(
    name: str, case: Case, how: tuple[str, Profile], store: Store, report: Progress
) -> ModelView:
    """What one model makes of the record."""
    from ecgxai_core.explainers import askable, params_for
    from ecgxai_core.pipeline.explain import explain_case, fused_map
    from ecgxai_core.report.comparison import ModelView
    from ecgxai_core.types import Prediction

    method, profile = how
    methods = askable(profile, case.classifier).methods if method == "fused" else (method,)
    params = params_for(profile, methods)
    maps = explain_case(case, params, store, report)
    item = fused_map(maps, profile) if method == "fused" else maps[method]
    values = case.classifier.predict(case.model_input().values[None])[0]
    predicted = Prediction(
        case.record.name, case.classifier.classes, values, case.record.digest,
        case.classifier.digest,
    )  # fmt: skip
    return ModelView(name, case.classifier, predicted, item)


def cohort(
    data: options.DataOption,
    model: options.ModelOption,
    target: Annotated[str, typer.Option("--target", help="SNOMED-CT code or abbreviation")],
    out: Annotated[
        Path,
        typer.Option("--out", help=".html (a page) or .csv (wave by lead); of a shard a folder"),
    ],
    n: Annotated[int, typer.Option("--n", min=1, help="records at most, drawn by the seed")] = 100,
    who: Annotated[
        str,
        typer.Option(
            "--who",
            help="labelled, predicted, true-positive, false-positive or false-negative records",
        ),
    ] = "labelled",
    method: Annotated[
        str, typer.Option("--method", help=f"one of {options.METHODS_MARK}")
    ] = "integrated_gradients",
    against_target: Annotated[
        str | None, typer.Option("--against-target", help="compare with this class")
    ] = None,
    against_model: Annotated[
        Path | None, typer.Option("--against-model", help="compare with this model")
    ] = None,
    against_data: Annotated[
        Path | None, typer.Option("--against-data", help="compare with this folder of records")
    ] = None,
    against_who: Annotated[
        str | None, typer.Option("--against-who", help="compare with these records, as --who")
    ] = None,
    profile: options.ProfileOption = "default",
    settings: options.SetOption = None,
    seed: options.SeedOption = None,
    checksum: options.ChecksumOption = "warn",
    shard: options.ShardOption = None,
) -> None:
    """Mean map by wave and lead over many records, with intervals, alone or against others.

    Segments are the waves of each beat, unless --set segments=... says otherwise. The same command
    continues after an interruption.
    """
    from ecgxai_core.audit.cohort import WHO, CohortRequest, make_cohort
    from ecgxai_core.audit.cohort_shards import write_cohort_shard
    from ecgxai_core.pipeline.shards import Shard
    from ecgxai_core.store.cache import open_store

    part = Shard.of(shard) if shard else None
    if part is None:
        refuse_cohort_form(out)
    for option, chosen_who in (("--who", who), ("--against-who", against_who)):
        if chosen_who is not None and chosen_who not in WHO:
            fix = f"use {', '.join(WHO)}"
            raise ParameterError(option, chosen_who, "is no group of records", fix)
    chosen = options.chosen_profile(profile, ["segments=wave", *(settings or [])], seed)
    first = CohortRequest(data, model, target, chosen, who, n, method)  # type: ignore[arg-type]
    changes = {
        "target": against_target, "model": against_model, "data": against_data,
        "who": against_who,
    }  # fmt: skip
    other = {name: value for name, value in changes.items() if value is not None}
    requests = [first, *([replace(first, **other)] if other else [])]  # type: ignore[arg-type]
    with open_store() as store, progress_bar("cohort") as report:
        if part is not None:
            parts = write_cohort_shard(
                out, requests, store, part, checksum=checksum, progress=report
            )
        else:
            made = [make_cohort(one, store, checksum=checksum, progress=report) for one in requests]
    if part is None:
        write_cohorts(out, made, chosen.evaluation)
        return
    for item in parts:
        say(f"{item.name}: {len(item.members)} of {item.found} records in shard {part}")
    say(f"written to {out}; 'ecgxai merge' joins the shards")
    finish([failure for item in parts for failure in item.failures])


def refuse_cohort_form(out: Path) -> None:
    """Refuse a name that is no page and no table."""
    if out.suffix.lower() not in (".html", ".csv"):
        raise ParameterError("--out", out.name, "is neither .html nor .csv", "use one of them")


def write_cohorts(out: Path, made: Sequence[Cohort], evaluation: EvaluationParams) -> None:
    """Write one or two cohorts as a page or a table, say what they show, and end."""
    from ecgxai_core.audit.cohort import cell_table, compare_cohorts, outliers
    from ecgxai_core.report.cohort import cohort_report, difference_words
    from ecgxai_core.store.atomic import write_bytes_atomic, write_csv_atomic

    refuse_cohort_form(out)
    found = compare_cohorts(made[0], made[1]) if len(made) == 2 else None
    if out.suffix.lower() == ".html":
        page = cohort_report(made, found, evaluation)
        write_bytes_atomic(out, page.encode("utf-8"))
    else:
        table = cell_table(made[0], evaluation)
        if found is not None:
            table = table.assign(
                other_mean=made[1].mean.reshape(-1), difference=found.difference.reshape(-1),
                p_corrected=found.p.reshape(-1),
            )  # fmt: skip
        write_csv_atomic(out, table)
    for item in made:
        far = ", ".join(record.name for record, _ in outliers(item)[:5]) or "none"
        say(f"{item.name}: {len(item.records)} of {item.found} records; outlying: {far}")
    if found is not None:
        say(difference_words(made[0], made[1], found))
    say(f"written to {out}")
    finish([failure for item in made for failure in item.failures])
