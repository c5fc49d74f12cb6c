"""``ecgxai doctor`` and ``ecgxai cache``: what this machine and its cache look like."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.settings import settings

__all__ = ["cache_app", "doctor"]

cache_app = typer.Typer(help="The disk cache; it can always be lost.", no_args_is_help=True)


@cache_app.command("info")
def cache_info() -> None:
    """Entries, size and limit of the cache."""
    from ecgxai_core.store.cache import info

    folder = settings().cache_dir
    for name, value in info(folder).items():
        say(f"{name:11} {value}")
    say(f"{'limit':11} {settings().cache_limit_gb:g} GB (ECGXAI_CACHE_LIMIT_GB)")


@cache_app.command("clear")
def cache_clear() -> None:
    """Forget every cached prediction, explanation and evaluation."""
    from ecgxai_core.pipeline.stores import open_store

    with open_store() as store:
        removed = store.clear()
    say(f"{removed} entries removed")


def doctor(
    model: Annotated[
        Path | None, typer.Argument(help="also load and check this model", metavar="MODEL")
    ] = None,
) -> None:
    """Versions, processor, disk and cache; with MODEL also whether it loads and how fast it is."""
    from ecgxai_core.version import code_version, library_versions

    say(f"ecgxai     {code_version()}")
    say(f"python     {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name, version in library_versions().items():
        say(f"{name:10} {version}")
    say(f"cores      {_cores()}")
    folder = settings().cache_dir
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    writable = os.access(nearest, os.W_OK)
    say(f"cache      {folder} ({free / 1e9:.1f} GB free{'' if writable else ', READ-ONLY'})")
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"
    say(f"oneDNN     {'on' if onednn else 'OFF: predictions are slow'}")
    if model is not None:
        _check_model(model)


def _cores() -> int:
    """Processor cores that this process may use; macOS only tells how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_model(path: Path) -> None:
    import time

    import numpy as np

    from ecgxai_core.models.loading import load_classifier

    begun = time.perf_counter()
    classifier = load_classifier(path)
    manifest = classifier.manifest
    loaded = time.perf_counter()
    batch = np.zeros((classifier.batch_size, manifest.samples, len(manifest.leads)), np.float32)
    flat = classifier.predict(batch)[0]
    compiled = time.perf_counter()
    classifier.predict(batch)
    each = (time.perf_counter() - compiled) / len(batch)
    say(f"model      {path.name}, digest {classifier.digest[:12]}")
    say(
        f"input      {manifest.samples} samples at {manifest.fs:g} Hz, {' '.join(manifest.leads)}, "
        f"{manifest.units}"
    )
    say(f"classes    {len(manifest.classes)}")
    say(f"loading    {loaded - begun:.1f} s, first batch {compiled - loaded:.1f} s")
    say(f"speed      {each * 1e3:.1f} ms a forward pass of one record")
    for line in _engine_lines(classifier):
        say(line)
    top = int(flat.argmax())
    say(f"flat line  p = {flat[top]:.3f} for {manifest.classes[top]} (a flat line is not neutral)")


def _engine_lines(classifier: Classifier) -> list[str]:
    """What the model can see, and how its games are played."""
    from ecgxai_core.games.engine import engine_of, sight

    engine = engine_of(classifier)
    if engine.part is None:
        return [f"engine     whole forward passes: {engine.reason}"]
    local = engine.part.local
    return [
        f"sight      {sight(engine.part, classifier.manifest.fs)} "
        f"({local.field} samples, one position every {local.step})",
        f"engine     exact local engine, largest error {engine.error:.1g} in probability",
    ]
