"""``ecgxai model``: manifests of a user's own models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import say
from ecgxai_core.errors import ModelError

__all__ = ["app"]

app = typer.Typer(help="Manifests of your own models.", no_args_is_help=True)
FileArgument = Annotated[
    Path, typer.Argument(help="model file (.keras, .h5 or .onnx)", metavar="FILE")
]


@app.command()
def draft(
    file: FileArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help="manifest to write; default: beside the model")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", help="a public model whose manifest is known; see model recipes"),
    ] = None,
) -> None:
    """Write a first manifest; what neither file nor recipe can tell is marked FILL IN."""
    from ecgxai_core.models.loading import draft_manifest
    from ecgxai_core.models.manifest import FILL_IN, manifest_path
    from ecgxai_core.models.recipes import load_recipe
    from ecgxai_core.store.atomic import write_json_atomic

    target = out or manifest_path(file)
    if target.exists():
        raise ModelError(target.name, "", "exists already", "remove it, or give another --out")
    known = None if recipe is None else load_recipe(recipe)
    values = draft_manifest(file)
    if known is not None:
        values = known.filled(values, file.name)
    write_json_atomic(target, values)
    say(f"manifest drafted: {target}; replace every '{FILL_IN}' in it, then: ecgxai model check")


@app.command()
def recipes() -> None:
    """List the public models whose manifests are known; their weights are not shipped."""
    from ecgxai_core.models.recipes import load_recipe, recipe_names

    for name in recipe_names():
        say(f"{name:24}{load_recipe(name).title}")


@app.command()
def check(file: FileArgument) -> None:
    """Load a model with its manifest, as every other command does, and describe it."""
    from ecgxai_core.models.loading import load_classifier
    from ecgxai_core.models.manifest import class_names, free_names_note, manifest_path

    classifier = load_classifier(file)
    manifest = classifier.manifest
    say(
        f"{file.name}: {len(manifest.classes)} classes, {len(manifest.leads)} leads, "
        f"{manifest.samples} samples at {manifest.fs:g} Hz in {manifest.units}, "
        f"digest {classifier.digest[:12]}"
    )
    if manifest.windows is not None:
        spec = manifest.windows
        say(
            f"the network sees {spec.samples} samples; {len(manifest.window_starts)} windows, "
            f"{spec.step} samples apart, are combined by their {spec.combine} for each class"
        )
    for text, code, name in class_names(manifest_path(file)):
        if text != code:
            say(f"class {text!r} is {name} ({code})")
    if note := free_names_note(manifest.classes):
        say(f"note: {note}")


@app.command()
def baselines(
    file: FileArgument,
    records: Annotated[list[Path], typer.Argument(help="records, or folders of records")],
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file with every record, baseline and class")
    ] = None,
    least: Annotated[
        float, typer.Option("--least", min=0, max=1, help="classes below this are not shown")
    ] = 0.05,
) -> None:
    """Predictions for completely masked records: no baseline is neutral."""
    from ecgxai_core.audit.baselines import baseline_table
    from ecgxai_core.models.loading import load_classifier
    from ecgxai_core.store.atomic import write_csv_atomic

    table = baseline_table(records, load_classifier(file))
    if out is not None:
        write_csv_atomic(out, table)
    n = table["record"].nunique()
    wide = table.pivot_table(
        index=["code", "name"], columns="baseline", values="probability", aggfunc="mean", sort=False
    )
    kinds = list(dict.fromkeys(table["baseline"]))
    say(f"mean probability over {n} records; intact = the records themselves")
    say(f"{'class':32}" + "".join(f"{kind:>13}" for kind in kinds))
    for row in wide[kinds].itertuples():
        values = row[1:]
        if max(values) >= least:
            name = f"{row[0][1]} ({row[0][0]})" if row[0][1] != row[0][0] else str(row[0][0])
            say(f"{name[:31]:32}" + "".join(f"{value:13.3f}" for value in values))


@app.command("training-range")
def training_range(
    file: FileArgument,
    data: Annotated[Path, typer.Option("--data", help="the data set that it was trained on")],
    train_fold: Annotated[
        list[int], typer.Option("--train-fold", help="fold that it was trained on; repeat")
    ],
    kept_fold: Annotated[
        list[int], typer.Option("--kept-fold", help="fold kept out of training; repeat")
    ],
    layout: Annotated[
        str | None, typer.Option("--layout", help="ptb-xl, ptb-xl-500, cinc2020, ludb, ...")
    ] = None,
    most: Annotated[
        int, typer.Option("--most", min=100, help="records read of either, spread evenly")
    ] = 5000,
) -> None:
    """Measure where the model's training data lies, so that unlike records are warned of."""
    from ecgxai_core.cli.console import progress_bar
    from ecgxai_core.models.keras_classifier import KerasClassifier
    from ecgxai_core.models.loading import load_classifier
    from ecgxai_core.models.training_range import save_range
    from ecgxai_core.records.catalogues.catalogue import open_catalogue
    from ecgxai_core.training.evaluation import range_of_training

    classifier, catalogue = load_classifier(file), open_catalogue(data, layout)
    if not isinstance(classifier, KerasClassifier):
        problem, fix = "runs through ONNX Runtime, which shows no features", "use a Keras model"
        raise ModelError(file.name, "", problem, fix)
    with progress_bar("features") as report:
        found = range_of_training(
            classifier, catalogue, train_fold, kept_fold, most,
            lambda done, of: report(done, of, ""),
        )  # fmt: skip
    path = save_range(found, file)
    say(
        f"{path.name}: {len(found.mean)} features; median distance {found.median:.1f}, limit "
        f"{found.limit:.1f} over {len(found.distances)} records kept out of training"
    )
