"""``ecgxai report`` and ``report-card``: one HTML file about a record, a run, or a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgxai_core.cli.console import progress_bar, say, say_error
from ecgxai_core.cli.options import (
    ChecksumOption,
    DataOption,
    ModelOption,
    ProfileOption,
    SeedOption,
    SetOption,
    StartOption,
    TargetsOption,
)
from ecgxai_core.errors import ParameterError

if TYPE_CHECKING:
    from ecgxai_core.params import Profile
    from ecgxai_core.pipeline.lazy import LazyClassifier
    from ecgxai_core.pipeline.report_card import ReportCard
    from ecgxai_core.report import RecordFacts
    from ecgxai_core.store.cache import Store
    from ecgxai_core.types import Record

__all__ = ["register", "report", "report_card"]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("report")(report)
    app.command("report-card")(report_card)


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
    profile: ProfileOption = "default",
    start: StartOption = None,
    scores: Annotated[bool, typer.Option(help="judge the maps too (not with --start)")] = True,
    checklist: Annotated[
        Path | None, typer.Option("--checklist", help="answers saved on the Guide page (JSON)")
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option("--pdf", help="also write the ECG with the fused map as PDF")
    ] = None,
    settings: SetOption = None,
    seed: SeedOption = None,
    checksum: ChecksumOption = "warn",
) -> None:
    """A self-contained HTML report with parameters, digests and the command that repeats it."""
    from ecgxai_core.report import record_report, run_report
    from ecgxai_core.store.atomic import write_bytes_atomic

    if what.is_dir():
        write_bytes_atomic(out, run_report(what).encode("utf-8"))
        say(f"report of run {what.name}: {out}")
        return
    if model is None or target is None:
        missing = "--model" if model is None else "--target"
        raise ParameterError(missing, "", "is missing", "a record's report needs both")
    from ecgxai_core.params import profile as named_profile
    from ecgxai_core.params import profile_with

    chosen = profile_with(named_profile(profile), settings or [], seed)
    facts = _facts(
        what, model, target, chosen, start, scores and start is None, checksum, checklist
    )
    if pdf is not None:
        write_bytes_atomic(pdf, _pdf(facts))
    write_bytes_atomic(out, record_report(facts).encode("utf-8"))
    say(f"report of {facts.record.name}, {facts.target}: {out}")


def report_card(
    data: DataOption,
    model: ModelOption,
    out: Annotated[Path, typer.Option("--out", help="HTML file to write, with JSON beside it")],
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="repeat for several; they are fused; lime and timeshap"),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="records a diagnosis")] = 10,
    target: TargetsOption = None,
    profile: ProfileOption = "default",
    settings: SetOption = None,
    seed: SeedOption = None,
    checksum: ChecksumOption = "warn",
) -> None:
    """Which explanations of a model pass which tests, what it sees, where its evidence lies.

    The same command carries on after an interruption.
    """
    from ecgxai_core.params import SelectionParams, profile_with
    from ecgxai_core.params import profile as named_profile
    from ecgxai_core.pipeline.report_card import CardRequest, build_card
    from ecgxai_core.pipeline.stores import open_store
    from ecgxai_core.report import card_html
    from ecgxai_core.store.atomic import write_bytes_atomic, write_json_atomic

    beside = out.with_suffix(".json")
    if beside == out:
        raise ParameterError("--out", out.name, "is the name of the JSON file", "name an HTML file")
    chosen = profile_with(named_profile(profile), settings or [], seed)
    if method:
        chosen = chosen.updated(methods=tuple(dict.fromkeys(method)))
    selection = SelectionParams(k_per_class=n, seed=seed or 0)
    request = CardRequest(
        data, model, chosen, selection, tuple(target) if target else None, checksum=checksum
    )
    with open_store() as store, progress_bar("report card") as progress:
        card = build_card(request, store, progress=progress)
    write_json_atomic(beside, card.as_json())
    write_bytes_atomic(out, card_html(card).encode("utf-8"))
    for failure in card.failures:
        say_error(failure.reason)
    said = ", ".join(f"{name} {_passed(card, name)}" for name in card.maps)
    say(f"report card of {card.model.name}, {card.n_records} records: {out}; passed: {said}")
    if card.failures:
        raise typer.Exit(3)


def _passed(card: ReportCard, method: str) -> str:
    """Tests passed of those with a verdict."""
    own = [v.verdict for v in card.verdicts if v.method == method and not v.target]
    return f"{own.count('pass')}/{own.count('pass') + own.count('fail')}"


def _facts(
    path: Path,
    model: Path,
    target: str,
    profile: Profile,
    start: float | None,
    scored: bool,
    checksum: str,
    checklist: Path | None,
) -> RecordFacts:
    from ecgxai_core.pipeline.explanation import explained, target_of
    from ecgxai_core.pipeline.lazy import LazyClassifier
    from ecgxai_core.pipeline.prediction import checksum_policy, predict_paths
    from ecgxai_core.pipeline.stores import open_store
    from ecgxai_core.records.read import read_record
    from ecgxai_core.report import RecordFacts
    from ecgxai_core.report.checklist import checklist_from_json

    classifier = LazyClassifier(model)
    code = target_of(target, classifier)
    record = read_record(path, checksum=checksum_policy(checksum))
    answers = None
    if checklist is not None:
        answers = checklist_from_json(checklist.read_text("utf-8"), checklist.name)
    with open_store() as store, progress_bar("report") as progress:
        predicted = predict_paths([path], classifier, store, checksum=checksum)
        found = explained(
            record, classifier, code, profile, store, start_sec=start, progress=progress
        )
        rows = _scores(record, classifier, code, profile, store) if scored else []
    return RecordFacts(
        record=record,
        prediction=predicted.values[0],
        model=model.name,
        manifest=classifier.manifest,
        target=code,
        profile=profile,
        maps={"fused": found.fused, **found.attributions},
        scores=rows,
        start=start,
        checklist=answers,
    )


def _scores(
    record: Record, classifier: LazyClassifier, code: str, profile: Profile, store: Store
) -> list[dict[str, Any]]:
    """The rows that a run would write for this record."""
    from ecgxai_core.pipeline.units import unit_entry

    meta = unit_entry(record, classifier, code, profile, store).meta
    return [*meta["evaluation"], *meta["stability"]]


def _pdf(facts: RecordFacts) -> bytes:
    from ecgxai_core.plots.pdf import ecg_pdf
    from ecgxai_core.report.record import caption_of

    fused = facts.maps["fused"]
    return ecg_pdf(
        facts.record,
        facts.style,
        caption_of(facts, fused, "Fused map"),
        start=max(0.0, float(fused.edges_sec[0])),
        stop=float(fused.edges_sec[-1]),
        overlay=fused,
    )
