"""The whole job over a folder of records: select, explain, fuse, evaluate; cached and resumable.

A run directory holds::

    sel_df.csv                        the selected records
    predictions.csv                   probabilities of every readable record
    attributions/<unit>.safetensors   every attribution, fused map and stability map of one unit
    df_eval_attauc_deletion.csv       plausibility and faithfulness, one row per record and method
    df_eval_stability.csv             the extra-beat experiment, one row per record and method
    summary_per_class.csv             means with confidence intervals, by class, method and metric
    failures.csv                      what was refused or failed, and why
    ledger.jsonl                      finished units, so that a killed run carries on
    manifest.json                     request, digests and versions; written last
    run.log                           times; the only file besides one field of the manifest
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ecgxai_core.errors import RunError
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.pipeline.predict import Failure, predict_data
from ecgxai_core.pipeline.run.ledger import Ledger, RunLock
from ecgxai_core.pipeline.run.request import RunRequest
from ecgxai_core.pipeline.run.tables import write_tables
from ecgxai_core.pipeline.run.units import UNIT_FOLDER, Unit, compute_unit
from ecgxai_core.pipeline.run.workers import map_units
from ecgxai_core.pipeline.select import select_chosen, select_records
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.atomic import remove_temporaries, write_csv_atomic, write_json_atomic
from ecgxai_core.store.cache import open_store

__all__ = ["run_pipeline"]

log = logging.getLogger(__name__)

CLAIM = "request.json"
"""Says of which request a run directory holds the results."""
_BEFORE_CLAIM = (".run.lock", "run.log")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended: ``done`` units have results, ``reused`` of them from before.

    ``warnings`` are the records that were read, each with the codes of its quality warnings.
    """

    out: Path
    done: int
    reused: int
    failures: tuple[Failure, ...]
    seconds: float
    warnings: tuple[tuple[str, tuple[str, ...]], ...] = ()


def run_pipeline(
    request: RunRequest, *, jobs: int = 1, progress: Progress = no_progress
) -> RunSummary:
    """Run a request, or carry on with it where it stopped.

    Parameters
    ----------
    request
        What to do.
    jobs
        Worker processes; results do not depend on it.
    progress
        Called with (done, total, what).

    Raises
    ------
    RunError
        The directory holds another run, or is in use.
    RecordError, ModelError, DiagnosisError
        Nothing to run on.
    """
    begun, clock = datetime.now(UTC), time.perf_counter()
    classifier = LazyClassifier(request.model)
    digest = request.digest(classifier.digest)
    out = request.out
    with RunLock(out):
        remove_temporaries(out)
        _refuse_another_run(out, digest)
        with _log_to(out / "run.log"):
            with open_store() as store:
                predictions = predict_data(
                    request.data, classifier, store, request.arrays, request.checksum, progress
                )
            wanted = request.records
            selected = (
                select_records(predictions, wanted.selection, wanted.targets)
                if wanted.chosen is None
                else select_chosen(predictions, wanted.chosen)
            )
            # Only now: a mistyped target or folder must not keep the corrected command out.
            write_json_atomic(out / CLAIM, {"request_digest": digest})
            write_csv_atomic(out / "predictions.csv", predictions.frame())
            write_csv_atomic(out / "sel_df.csv", selected.frame)
            units = selected.units
            (out / UNIT_FOLDER).mkdir(exist_ok=True)
            ledger = Ledger(out / "ledger.jsonl")
            reused = _finished(ledger, units, out)
            failed = _work(request, units, reused, ledger, jobs, progress)
            # records that a given selection does not name are no part of the run
            unread = predictions.failures if wanted.chosen is None else ()
            failures = (*unread, *failed)
            tables = write_tables(
                out,
                [unit.file(out) for unit in units if unit.file(out).is_file()],
                [(failure.record, failure.reason) for failure in failures],
                request.profile.evaluation,
            )
            seconds = time.perf_counter() - clock
            log.info("%d units, %d from before, %.1f s", len(units), len(reused), seconds)
        manifest = {
            "schema": "ecgxai-run/1",
            "request": request.describe(classifier.digest),
            "request_digest": digest,
            "records": len(predictions.records),
            "units": [unit.id for unit in units],
            "failures": len(failures),
            "synthetic": any(info.synthetic for info in predictions.records),
            "tables": tables,
            "times": {"begun": begun.isoformat(timespec="seconds"), "seconds": seconds},
        }
        write_json_atomic(out / "manifest.json", manifest)
    warned = tuple((info.name, info.all_warnings) for info in predictions.records)
    return RunSummary(out, len(units) - len(failed), len(reused), failures, seconds, warned)


def _refuse_another_run(out: Path, digest: str) -> None:
    """Refuse a directory that holds the results of another request, or anything else."""
    claim = out / CLAIM
    if claim.is_file():
        try:
            known = json.loads(claim.read_bytes())
        except (ValueError, RecursionError):
            known = None
        if known != {"request_digest": digest}:
            problem = "holds another run (other data, model, parameters or program version)"
            raise RunError(out.name, "--out", problem, "give another --out, or remove this one")
        return
    foreign = sorted(path.name for path in out.iterdir() if path.name not in _BEFORE_CLAIM)
    if foreign:
        raise RunError(
            out.name, "--out", f"is not empty ({foreign[0]})", "give a new or empty folder"
        )


def _finished(ledger: Ledger, units: Sequence[Unit], out: Path) -> set[str]:
    """Units that an earlier attempt finished and whose files are as it left them."""
    done = ledger.done()
    return {
        unit.id
        for unit in units
        if unit.id in done and done[unit.id].get("sha256") == _digest(unit.file(out))
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _work(
    request: RunRequest,
    units: Sequence[Unit],
    reused: set[str],
    ledger: Ledger,
    jobs: int,
    progress: Progress,
) -> tuple[Failure, ...]:
    """Compute what is missing; returns what failed, in the order of the units."""
    waiting = [unit for unit in units if unit.id not in reused]
    done, failed = len(reused), {}
    progress(done, len(units), "explain and evaluate")
    slim = replace(request, records=replace(request.records, chosen=None))  # sent with every unit
    one = partial(compute_unit, request=slim)
    for unit, outcome in map_units(one, waiting, jobs):
        done += 1
        progress(done, len(units), f"{unit.record}, {unit.target}")
        log.info("%s: %s", unit.id, outcome.failed or "done")
        if outcome.failed:
            failed[unit.id] = Failure(unit.record, outcome.failed)
            unit.file(request.out).unlink(missing_ok=True)
        else:
            ledger.append(unit.id, {"sha256": _digest(unit.file(request.out))})
    return tuple(failed[unit.id] for unit in units if unit.id in failed)


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("ecgxai_core")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
