"""``ecgxai report``: one HTML file about a record or a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgxai_core.cli.console import progress_bar, say
from ecgxai_core.cli.options import ChecksumOption, ProfileOption, SeedOption, SetOption
from ecgxai_core.errors import ParameterError

if TYPE_CHECKING:
    from ecgxai_core.params import Profile
    from ecgxai_core.pipeline.lazy import LazyClassifier
    from ecgxai_core.report import RecordFacts
    from ecgxai_core.store.cache import Store
    from ecgxai_core.types import Record

__all__ = ["register", "report"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(report)


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
    start: Annotated[
        float | None, typer.Option("--start", min=0, help="where the explained window begins, s")
    ] = None,
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
