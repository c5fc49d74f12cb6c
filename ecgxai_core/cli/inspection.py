"""``ecgxai doctor``, ``cache`` and ``app``: this machine, its cache, and the dashboard."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.settings import dashboard_dir, settings

__all__ = ["cache_app", "dashboard", "doctor"]

_FOLDERS = ("ECGXAI_DATA", "ECGXAI_MODELS", "ECGXAI_RUNS", "ECGXAI_CACHE_DIR")

cache_app = typer.Typer(help="The disk cache; it can be deleted at any time.", no_args_is_help=True)


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
    """Delete every cached prediction, explanation and evaluation."""
    from ecgxai_core.store.cache import open_store

    with open_store() as store:
        removed = store.clear()
    say(f"{removed} entries removed")


def doctor(
    model: Annotated[
        Path | None, typer.Argument(help="also load and check this model", metavar="MODEL")
    ] = None,
) -> None:
    """Versions, processor, disk and cache; with MODEL also whether and how fast it runs."""
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
    """Processor cores that this process may use; on macOS all that there are."""
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
    """The receptive field of a model, and the engine of its games."""
    from ecgxai_core.games.local.engine import engine_of, receptive_field

    engine = engine_of(classifier)
    if engine.part is None:
        return [f"engine     whole forward passes: {engine.reason}"]
    local = engine.part.local
    return [
        f"receptive field {receptive_field(engine.part, classifier.manifest.fs)} "
        f"({local.field} samples, one position every {local.step})",
        f"engine     exact local engine, largest error {engine.error:.1g} in probability",
    ]


def dashboard(
    port: Annotated[int, typer.Option("--port", help="port on this machine")] = 8501,
    headless: Annotated[
        bool, typer.Option("--headless", help="do not open a browser window")
    ] = False,
) -> None:
    """Open the dashboard; Ctrl-C ends it."""
    home = dashboard_dir()
    environment = dict(os.environ)
    for name in _FOLDERS:  # relative folders are meant from here, not from the dashboard's own
        if environment.get(name):
            environment[name] = os.pathsep.join(
                os.path.abspath(part) for part in environment[name].split(os.pathsep)
            )
    command = [
        sys.executable, "-m", "streamlit", "run", str(home / "app" / "main.py"),
        "--server.port", str(port), "--server.headless", str(headless).lower(),
    ]  # fmt: skip
    try:
        code = subprocess.run(command, cwd=home, env=environment, check=False).returncode
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)
