"""``ecgxai study`` and ``ecgxai review-queue``: blinded studies, and what to read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ecgxai_core.cli import options
from ecgxai_core.cli.console import finish, progress_bar, say, show_table
from ecgxai_core.errors import EcgXaiError, ParameterError
from ecgxai_core.settings import settings

if TYPE_CHECKING:
    from ecgxai_core.models.protocol import Classifier
    from ecgxai_core.pipeline.predict import Failure, Predictions
    from ecgxai_core.store.cache import Store
    from ecgxai_core.study.review_queue import Doubts

__all__ = ["app", "review_queue"]

app = typer.Typer(
    help="Blinded studies: maps rated by people who do not know which they see.",
    no_args_is_help=True,
)

StudyArgument = Annotated[
    str, typer.Argument(help="name of a study in ECGXAI_STUDIES_DIR, or its folder")
]


@app.command("new")
def new(
    protocol: Annotated[Path, typer.Argument(help="protocol, a TOML file; see the how-to")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="folder to write; by default one where the page finds it"),
    ] = None,
) -> None:
    """Check a protocol, explain every case, and freeze the study; prints the raters' codes."""
    from ecgxai_core.store.cache import open_store
    from ecgxai_core.study.frozen import freeze

    folder = out or settings().studies_dir / protocol.stem
    with open_store() as store, progress_bar("study") as report:
        study = freeze(protocol, folder, store, report)
    say(
        f"{len(study.cases)} cases, {len(study.protocol.arms)} arms, "
        f"{len(study.protocol.raters)} raters: {folder}"
    )
    for rater, code in study.codes.items():
        say(f"code of {rater}: {code}")


@app.command("export")
def export(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", help="CSV or JSON file to write")],
) -> None:
    """Write the answers: one row per rater and showing."""
    from ecgxai_core.store.atomic import write_csv_atomic, write_json_atomic
    from ecgxai_core.store.values import json_safe
    from ecgxai_core.study.answers import Answers
    from ecgxai_core.study.frozen import open_study

    frame = Answers(open_study(_folder(study))).frame()
    if out.suffix.lower() == ".csv":
        write_csv_atomic(out, frame)
    elif out.suffix.lower() == ".json":
        write_json_atomic(out, json_safe(frame.to_dict("records")))
    else:
        raise ParameterError("--out", out.name, "is neither .csv nor .json", "use one of them")
    say(f"{len(frame)} showings written to {out}")


@app.command("analyse")
def analyse(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", help="HTML report to write")],
    tables: Annotated[
        Path | None, typer.Option("--tables", help="folder for the tables as CSV files")
    ] = None,
) -> None:
    """Accuracy, reliance, ratings, agreement, repeatability, time, and marks against maps."""
    from ecgxai_core.report.study import study_html
    from ecgxai_core.store.atomic import write_bytes_atomic, write_csv_atomic
    from ecgxai_core.study.analysis import analyse as analysed
    from ecgxai_core.study.answers import Answers
    from ecgxai_core.study.frozen import open_study

    opened = open_study(_folder(study))
    found = analysed(opened, Answers(opened).frame())
    write_bytes_atomic(out, study_html(opened, found).encode())
    if tables is not None:
        tables.mkdir(parents=True, exist_ok=True)
        for title, table in found.tables.items():
            write_csv_atomic(tables / f"{title.lower().replace(' ', '_')}.csv", table)
    show_table(found.tables["Accuracy and confidence by stage and arm"])
    say(f"report written to {out}")


def _folder(study: str) -> Path:
    from ecgxai_core.study.frozen import studies

    return studies(settings().studies_dir).get(study, Path(study))


def review_queue(
    data: options.DataOption,
    model: options.ModelOption,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="entropy, margin, disagreement (with --other), methods, evidence or quality",
        ),
    ] = "entropy",
    other: Annotated[
        Path | None, typer.Option("--other", help="another model, for disagreement")
    ] = None,
    target: options.TargetsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file to write, all records")
    ] = None,
    checksum: options.ChecksumOption = "warn",
) -> None:
    """List the records that a reader should look at first; the first ten are unlike each other."""
    from ecgxai_core.case import find_target
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.pipeline.predict import predict_paths
    from ecgxai_core.store.atomic import write_csv_atomic
    from ecgxai_core.store.cache import open_store
    from ecgxai_core.study import review_queue as queue

    classifier = LazyClassifier(model)
    codes = [find_target(name, classifier) for name in target or ()] or None
    limits = classifier.manifest.thresholds or {}
    with open_store() as store:
        with progress_bar("predict") as report:
            found = predict_paths([data], classifier, store, checksum=checksum, progress=report)
        second, maps = None, None
        failures = [*found.failures]
        if other is not None:
            second = predict_paths([data], LazyClassifier(other), store, checksum=checksum)
            failures += second.failures
        if by in queue.MAP_CRITERIA:
            maps, unexplained = _doubts(found, classifier, store, limits, codes)
            failures += unexplained
    table = queue.review_queue(
        found, cast("queue.Criterion", by), other=second, maps=maps, thresholds=limits,
        targets=codes,
    )  # fmt: skip
    if out is not None:
        write_csv_atomic(out, table)
    show_table(table.head(queue.DIVERSE).drop(columns="digest").dropna(axis=1, how="all"))
    finish(dict.fromkeys(failures))  # what neither model can read is said once


def _doubts(
    found: Predictions,
    classifier: Classifier,
    store: Store,
    limits: Mapping[str, float],
    codes: Sequence[str] | None,
) -> tuple[list[Doubts | None], list[Failure]]:
    """Explain every record for one class; also those that cannot be explained, and why."""
    from ecgxai_core.case import Case
    from ecgxai_core.params import profile
    from ecgxai_core.pipeline.predict import Failure
    from ecgxai_core.records.read import read_record
    from ecgxai_core.study.review_queue import doubts, questioned

    targets = questioned(found, limits, codes)
    made: list[Doubts | None] = []
    failures: list[Failure] = []
    with progress_bar("explain") as report:
        for number, (info, target) in enumerate(zip(found.records, targets, strict=True)):
            report(number, len(targets), info.name)
            try:
                case = Case(read_record(info.path), classifier, target)
                limit = limits.get(target, 0.5)
                made.append(doubts(case, profile("default"), store, limit))
            except EcgXaiError as error:
                failures.append(Failure(info.name, str(error)))
                made.append(None)
    return made, failures
