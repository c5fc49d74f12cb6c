"""``ecgxai report`` and ``report-card``: one HTML file about a record, a run, or a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import finish, progress_bar, say, say_map_warnings, say_warnings
from ecgxai_core.errors import ParameterError

if TYPE_CHECKING:
    from ecgxai_core.audit.report_card import ReportCard
    from ecgxai_core.case import Case
    from ecgxai_core.report import RecordFacts

__all__ = ["report", "report_card"]


def report(
    what: Annotated[
        Path,
        typer.Argument(help="a record, or the directory of a finished run", metavar="RECORD|RUN"),
    ],
    out: Annotated[Path, typer.Option("--out", help="HTML file to write")],
    model: Annotated[Path | None, typer.Option("--model", help="RECORD only: the model")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="RECORD only: SNOMED-CT code or abbreviation")
    ] = None,
    profile: options.ProfileOption = "default",
    start: options.StartOption = None,
    scores: Annotated[bool, typer.Option(help="evaluate the maps too (not with --start)")] = True,
    checklist: Annotated[
        Path | None,
        typer.Option("--checklist", help="RECORD only: answers saved on the Guide page (JSON)"),
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option("--pdf", help="RECORD only: also write the ECG with the fused map as PDF"),
    ] = None,
    settings: options.SetOption = None,
    seed: options.SeedOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """A self-contained HTML report with parameters, digests and the command that repeats it."""
    from ecgxai_core.pipeline.explain import explained
    from ecgxai_core.pipeline.predict import predict_paths
    from ecgxai_core.pipeline.run.units import unit_entry
    from ecgxai_core.report import RecordFacts, record_report, run_report
    from ecgxai_core.report.checklist import checklist_from_json
    from ecgxai_core.store.atomic import write_bytes_atomic
    from ecgxai_core.store.cache import open_store

    if what.is_dir():
        for option, value in (("--pdf", pdf), ("--checklist", checklist)):
            if value is not None:
                fix = f"give a record, or leave {option} out"
                raise ParameterError(option, value.name, "is for the report of a record", fix)
        write_bytes_atomic(out, run_report(what).encode("utf-8"))
        say(f"report of run {what.name}: {out}")
        return
    if model is None or target is None:
        missing = "--model" if model is None else "--target"
        raise ParameterError(missing, "", "is missing", "a record's report needs both")
    chosen = options.chosen_profile(profile, settings, seed)
    case = _case(what, model, target, start, checksum)
    answers = None
    if checklist is not None:
        answers = checklist_from_json(checklist.read_text("utf-8"), checklist.name)
    with open_store() as store, progress_bar("report") as progress:
        predicted = predict_paths([what], case.classifier, store, checksum=checksum)
        found = explained(case, chosen, store, progress=progress)
        rows: list[dict[str, Any]] = []
        if scores and start is None:  # as a run would write them
            meta = unit_entry(case, chosen, store).meta
            rows = [*meta["evaluation"], *meta["stability"]]
    facts = RecordFacts(
        record=case.record,
        prediction=predicted.values[0],
        model=model.name,
        manifest=case.classifier.manifest,
        target=case.target,
        profile=chosen,
        maps={"fused": found.fused, **found.attributions},
        scores=rows,
        start=start,
        checklist=answers,
    )
    if pdf is not None:
        write_bytes_atomic(pdf, _pdf(facts))
    write_bytes_atomic(out, record_report(facts).encode("utf-8"))
    say(f"report of {facts.record.name}, {facts.target}: {out}")
    say_map_warnings(facts.maps["fused"].warnings)


def report_card(
    data: options.DataOption,
    model: options.ModelOption,
    out: Annotated[Path, typer.Option("--out", help="HTML file to write, with JSON beside it")],
    method: options.MethodsOption = None,
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="records per diagnosis")] = 20,
    target: options.TargetsOption = None,
    shuffled: Annotated[
        Path | None,
        typer.Option("--shuffled", help="model trained with data.shuffle_labels = true"),
    ] = None,
    profile: options.ProfileOption = "default",
    settings: options.SetOption = None,
    seed: options.SeedOption = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """Which explanations of a model pass which tests; its receptive field; where evidence lies.

    The same command continues after an interruption.
    """
    from ecgxai_core.audit.report_card import CardRequest, build_card
    from ecgxai_core.params import SelectionParams
    from ecgxai_core.pipeline.given_maps import methods_and_folders
    from ecgxai_core.report import card_html
    from ecgxai_core.store.atomic import write_bytes_atomic, write_json_atomic
    from ecgxai_core.store.cache import open_store

    beside = out.with_suffix(".json")
    if beside == out:
        raise ParameterError("--out", out.name, "is the name of the JSON file", "name an HTML file")
    chosen = options.chosen_profile(profile, settings, seed)
    methods, folders = methods_and_folders(method or ())
    if methods:
        chosen = chosen.updated(methods=methods)
    selection = SelectionParams(k_per_class=n, seed=seed or 0)
    request = CardRequest(
        data, model, chosen, selection, tuple(target) if target else None,
        checksum=checksum, folders=folders, shuffled=shuffled,
    )  # fmt: skip
    with open_store() as store, progress_bar("report card") as progress:
        card = build_card(request, store, progress=progress)
    write_json_atomic(beside, card.as_json())
    write_bytes_atomic(out, card_html(card).encode("utf-8"))
    said = ", ".join(f"{name} {_passed(card, name)}" for name in card.maps)
    say(f"report card of {card.model.name}, {card.n_records} records: {out}; passed: {said}")
    say_warnings(card.warnings.items())
    finish(card.failures)


def _passed(card: ReportCard, method: str) -> str:
    """Tests passed of those with a verdict."""
    own = [v.verdict for v in card.verdicts if v.method == method and not v.target]
    return f"{own.count('pass')}/{own.count('pass') + own.count('fail')}"


def _case(path: Path, model: Path, target: str, start: float | None, checksum: str) -> Case:
    from ecgxai_core.case import Case
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.pipeline.predict import checksum_policy
    from ecgxai_core.records.read import read_record

    classifier = LazyClassifier(model)
    record = read_record(path, checksum=checksum_policy(checksum))
    return Case(record, classifier, target, start)


def _pdf(facts: RecordFacts) -> bytes:
    from ecgxai_core.plots.pdf import ecg_pdf
    from ecgxai_core.report.record import caption_of

    fused = facts.maps["fused"]
    start, stop = max(0.0, float(fused.edges_sec[0])), float(fused.edges_sec[-1])
    caption = caption_of(facts, fused, "Fused map")
    return ecg_pdf(facts.record, facts.style, caption, start=start, stop=stop, overlay=fused)
