"""``ecgxai simulate``, ``fetch`` and ``demo``: where records come from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import progress_bar, say, say_error
from ecgxai_core.cli.options import JobsOption

__all__ = ["DEMO_SEED", "DEMO_SIZE", "register"]

DEMO_SIZE, DEMO_SEED = 60, 1


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the command line."""
    app.command("simulate")(simulate)
    app.command("demo")(demo)
    app.command("fetch")(fetch)


def simulate(
    dest: Annotated[Path, typer.Argument(help="folder to write the records to", metavar="DEST")],
    n: Annotated[int, typer.Option("--n", min=1, max=100_000, help="number of records")] = 60,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the set")] = 1,
) -> None:
    """Write simulated 12-lead records (WFDB, marked synthetic) with their truth beside them."""
    paths = _simulated(dest, n, seed)
    say(f"{len(paths)} simulated records written to {dest}; they say nothing of real performance")


def _simulated(dest: Path, n: int, seed: int) -> list[Path]:
    from ecgxai_core.simulate.dataset import write_set

    with progress_bar("simulate") as report:
        return write_set(dest, n, seed, progress=lambda done, total: report(done, total, ""))


def demo(
    out: Annotated[Path, typer.Option("--out", help="folder for records and results")] = Path(
        "runs/demo"
    ),
    jobs: JobsOption = 1,
) -> None:
    """The whole job by itself: simulated records and a real DICOM ECG, the shipped model, a run."""
    from ecgxai_core.params import profile
    from ecgxai_core.pipeline.request import make_request
    from ecgxai_core.pipeline.run import run_pipeline
    from ecgxai_core.settings import default_model

    records = out / "records"
    if not (records / ".complete").is_file():
        _simulated(records, DEMO_SIZE, DEMO_SEED)
        _add_dicom(records)
        (records / ".complete").touch()
    request = make_request(
        records,
        default_model(),
        out / "run",
        mode="demo",
        targets=_well_recognised(records),
        profile=profile("default"),
        seed=None,
    )
    with progress_bar("demo") as report:
        done = run_pipeline(request, jobs=jobs, progress=report)
    for failure in done.failures:
        say_error(failure.reason)
    say(f"{done.done} explained, {len(done.failures)} failed, {done.seconds:.0f} s: {done.out}")
    say(f"read the tables:     ecgxai summary {done.out}")
    say("open the dashboard:  python -m streamlit run app/main.py")
    if done.failures:
        raise typer.Exit(3)


def _well_recognised(records: Path) -> list[str]:
    """Diagnoses of which the shipped model recognises enough simulated records to show."""
    from ecgxai_core.params import SelectionParams
    from ecgxai_core.pipeline.lazy import LazyClassifier
    from ecgxai_core.pipeline.prediction import predict_data
    from ecgxai_core.pipeline.request import MODES
    from ecgxai_core.pipeline.selecting import select_records
    from ecgxai_core.pipeline.stores import open_store
    from ecgxai_core.settings import default_model

    with open_store() as store, progress_bar("predict") as report:
        predictions = predict_data(records, LazyClassifier(default_model()), store, progress=report)
    chosen = select_records(predictions, SelectionParams()).frame
    counts = chosen[chosen["status"] == "full"]["target"].value_counts(sort=False)
    return [str(code) for code, count in counts.items() if count >= MODES["demo"]]


def _add_dicom(folder: Path) -> None:
    """The real 12-lead DICOM ECG that ships with pydicom."""
    from pydicom.data import get_testdata_file

    found = get_testdata_file("waveform_ecg.dcm", download=False)
    if isinstance(found, str):
        shutil.copyfile(found, folder / "waveform_ecg.dcm")


def fetch(
    name: Annotated[str, typer.Argument(help="ptb-xl, cinc2020 or ludb", metavar="DATASET")],
    dest: Annotated[Path, typer.Argument(help="folder to write to", metavar="DEST")],
) -> None:
    """Download a public data set; checked against its published checksums, and resumable."""
    from ecgxai_core.records.fetch import DATASETS, FetchProgress
    from ecgxai_core.records.fetch import fetch as fetch_data

    with progress_bar(f"fetch {name}") as bar:

        def report(now: FetchProgress) -> None:
            bar(now.done, now.files, f"{now.received_bytes / 1e6:.0f} MB")

        folder = fetch_data(name, dest, report=report)
    data = DATASETS[name]
    say(f"{name} is in {folder}; licence {data.licence}; cite {data.citation}")
