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
    *.parquet                         each of these tables, in groups of rows
    manifest.json                     request, digests and versions; written last
    run.log                           times; the only file besides one field of the manifest
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ecgxai_core.errors import ParameterError
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.pipeline.predict import Failure, Predictions, predict_data
from ecgxai_core.pipeline.run.folder import (
    Made,
    claim,
    file_digest,
    finish,
    refuse_another_run,
    write_selected,
    write_shard,
)
from ecgxai_core.pipeline.run.ledger import Ledger, RunLock
from ecgxai_core.pipeline.run.request import EVERY, RunRequest
from ecgxai_core.pipeline.run.units import Unit, compute_unit
from ecgxai_core.pipeline.run.workers import Executor, map_units
from ecgxai_core.pipeline.select import Selected, select_chosen, select_records
from ecgxai_core.pipeline.shards import WHOLE, Shard
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.atomic import remove_temporaries
from ecgxai_core.store.cache import open_store

__all__ = ["run_pipeline"]

log = logging.getLogger(__name__)


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
    request: RunRequest,
    *,
    jobs: int = 1,
    progress: Progress = no_progress,
    shard: Shard | None = None,
    executor: Executor | None = None,
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
    shard
        Only the records of this shard; the directory then holds no tables, but what
        :func:`ecgxai_core.pipeline.run.merge.merge_runs` makes the tables of all shards from.
    executor
        What runs the units, instead of ``jobs`` processes.

    Raises
    ------
    RunError
        The directory holds another run, or is in use.
    ParameterError
        A shard of records that no selection file fixes.
    RecordError, ModelError, DiagnosisError
        Nothing to run on.
    """
    if shard is not None and request.records.chosen is None:
        problem = "needs records that are chosen before (a draw looks at all of them)"
        fix = "run 'ecgxai select', and give its file with --selection"
        raise ParameterError("--shard", str(shard), problem, fix)
    begun, clock = datetime.now(UTC), time.perf_counter()
    classifier = LazyClassifier(request.model)
    described = request.describe(classifier)
    out = request.out
    with RunLock(out):
        remove_temporaries(out)
        refuse_another_run(out, described, shard)
        with _log_to(out / "run.log"):
            with open_store() as store:
                predictions = predict_data(
                    request.data, classifier, store, request.arrays, request.checksum, progress,
                    shard or WHOLE,
                )  # fmt: skip
            selected = _selected(request, predictions, classifier, shard)
            # Only now: a mistyped target or folder must not keep the corrected command out.
            claim(out, described, shard)
            if shard is None:
                write_selected(out, predictions, selected)
            units = selected.units
            each = executor or partial(map_units, processes=jobs)
            ledger = Ledger(out / "ledger.jsonl")
            reused = _finished(ledger, units, out)
            failed = _work(request, classifier.digest, units, reused, ledger, each, progress)
            seconds = time.perf_counter() - clock
            log.info("%d units, %d from before, %.1f s", len(units), len(reused), seconds)
        if shard is not None:
            failures = tuple(failed.values())
            write_shard(request, described, shard, predictions, units, failed)
        else:
            # records that a given selection does not name are no part of the run
            unread = predictions.failures if request.records.chosen is None else ()
            failures = (*unread, *failed.values())
            made = Made(described, predictions, units, failures, request.profile.evaluation)
            finish(out, made, begun, clock)
    warned = tuple((info.name, info.all_warnings) for info in predictions.records)
    return RunSummary(
        out, len(units) - len(failed), len(reused), failures, time.perf_counter() - clock, warned
    )


def _selected(
    request: RunRequest,
    predictions: Predictions,
    classifier: LazyClassifier,
    shard: Shard | None,
) -> Selected:
    """The records and targets of the request, or those of them that belong to the shard."""
    wanted = request.records
    if wanted.chosen is None:
        called_from = classifier.manifest.thresholds or {} if wanted.mode == EVERY else None
        return select_records(predictions, wanted.selection, wanted.targets, called_from)
    own = [choice for choice in wanted.chosen if shard is None or shard.holds(choice.digest)]
    return select_chosen(predictions, own) if own or shard is None else Selected.nothing()


def _finished(ledger: Ledger, units: Sequence[Unit], out: Path) -> set[str]:
    """Units that an earlier attempt finished and whose files are as it left them."""
    done = ledger.done()
    return {
        unit.id
        for unit in units
        if unit.id in done and done[unit.id].get("sha256") == file_digest(unit.file(out))
    }


def _work(
    request: RunRequest,
    model_digest: str,
    units: Sequence[Unit],
    reused: set[str],
    ledger: Ledger,
    each: Executor,
    progress: Progress,
) -> dict[str, Failure]:
    """Compute what is missing; returns what failed by unit, in the order of the units."""
    # a worker on another machine has another working directory
    waiting = [replace(unit, path=unit.path.absolute()) for unit in units if unit.id not in reused]
    done, failed = len(reused), {}
    progress(done, len(units), "explain and evaluate")
    slim = _for_workers(request)
    one = partial(compute_unit, request=slim, model_digest=model_digest)
    for unit, outcome in each(one, waiting):
        done += 1
        progress(done, len(units), f"{unit.record}, {unit.target}")
        log.info("%s: %s", unit.id, outcome.failed or "done")
        if outcome.failed:
            failed[unit.id] = Failure(unit.record, outcome.failed)
            unit.file(request.out).unlink(missing_ok=True)
        else:
            ledger.append(unit.id, {"sha256": file_digest(unit.file(request.out))})
    return {unit.id: failed[unit.id] for unit in units if unit.id in failed}


def _for_workers(request: RunRequest) -> RunRequest:
    """What is sent with every unit: whole paths, and no list of all records."""
    return replace(
        request,
        model=request.model.absolute(),
        out=request.out.absolute(),
        folders=tuple(replace(item, folder=item.folder.absolute()) for item in request.folders),
        records=replace(request.records, chosen=None),
    )


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
