"""``ecgxai simulate``, ``fetch`` and ``demo``: where records come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import finish, progress_bar, say
from ecgxai_core.cli.options import JobsOption

__all__ = ["demo", "fetch", "simulate"]

COHORTS = ("164889003", "164909002")
"""Atrial fibrillation and left bundle branch block, with which the page Cohort usually opens; the
page explains the records of another diagnosis when it is asked for."""
RECORDS_A_CLASS = 2
"""Records of each diagnosis that the demonstration explains: minutes, not a quarter of an hour."""


def simulate(
    dest: Annotated[Path, typer.Argument(help="folder to write the records to", metavar="DEST")],
    n: Annotated[int, typer.Option("--n", min=1, max=100_000, help="number of records")] = 60,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the set")] = 1,
) -> None:
    """Write simulated 12-lead records (WFDB, marked synthetic), each with its truth."""
    paths = _simulated(dest, n, seed)
    say(f"{len(paths)} simulated records written to {dest}; they are no evidence about patients")


def _simulated(dest: Path, n: int, seed: int) -> list[Path]:
    from ecgxai_core.simulation.dataset import write_set

    with progress_bar("simulate") as report:
        return write_set(dest, n, seed, progress=lambda done, total: report(done, total, ""))


def demo(jobs: JobsOption = 1) -> None:
    """A complete run for the dashboard: simulated records and a real DICOM ECG, explained and
    evaluated with the shipped model."""
    from ecgxai_core.params import profile
    from ecgxai_core.pipeline.run.request import RunRequest, choose_records
    from ecgxai_core.pipeline.run.run import run_pipeline
    from ecgxai_core.settings import default_model
    from ecgxai_core.simulation.demonstration import demonstration_run, write_demonstration

    with progress_bar("simulate") as report:
        records = write_demonstration(report)
    targets, limits = _well_recognised(records), {"k_per_class": RECORDS_A_CLASS}
    wanted = choose_records("demo", targets, limits)
    request = RunRequest(records, default_model(), demonstration_run(), profile("default"), wanted)
    with progress_bar("demo") as report:
        done = run_pipeline(request, jobs=jobs, progress=report)
    _explain_cohorts(records, [code for code in COHORTS if code in targets])
    say(f"{done.done} explained, {len(done.failures)} failed, {done.seconds:.0f} s: {done.out}")
    say(f"read the tables:     ecgxai summary {done.out}")
    say("open the dashboard:  ecgxai app")
    finish(done.failures)


def _explain_cohorts(records: Path, targets: Sequence[str]) -> None:
    """Explain the records of the cohorts with which the page Cohort opens."""
    from ecgxai_core.audit.cohort import CohortRequest, make_cohort
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.params import profile, profile_with
    from ecgxai_core.settings import default_model
    from ecgxai_core.store.cache import open_store

    chosen = profile_with(profile("default"), ["segments=wave"])
    classifier = LazyClassifier(default_model())
    with open_store() as store, progress_bar("cohorts") as report:
        for target in targets:
            request = CohortRequest(records, default_model(), target, chosen)
            make_cohort(request, store, classifier=classifier, progress=report)


def _well_recognised(records: Path) -> list[str]:
    """Diagnoses for which the shipped model recognises enough simulated records."""
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.params import SelectionParams
    from ecgxai_core.pipeline.predict import predict_data
    from ecgxai_core.pipeline.select import select_records
    from ecgxai_core.settings import default_model
    from ecgxai_core.store.cache import open_store

    with open_store() as store, progress_bar("predict") as report:
        predictions = predict_data(records, LazyClassifier(default_model()), store, progress=report)
    chosen = select_records(predictions, SelectionParams()).frame
    counts = chosen[chosen["status"] == "full"]["target"].value_counts(sort=False)
    return [str(code) for code, count in counts.items() if count >= RECORDS_A_CLASS]


def fetch(
    name: Annotated[str, typer.Argument(help="ptb-xl, cinc2020 or ludb", metavar="DATASET")],
    dest: Annotated[Path, typer.Argument(help="folder to write to", metavar="DEST")],
) -> None:
    """Download a public data set: checked against its published checksums, resumable."""
    from ecgxai_core.records.fetch import DATASETS, FetchProgress
    from ecgxai_core.records.fetch import fetch as fetch_data

    with progress_bar(f"fetch {name}") as bar:

        def report(now: FetchProgress) -> None:
            bar(now.done, now.files, f"{now.received_bytes / 1e6:.0f} MB")

        folder = fetch_data(name, dest, report=report)
    data = DATASETS[name]
    say(f"{name} is in {folder}; licence {data.licence}; cite {data.citation}")
