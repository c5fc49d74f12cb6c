"""The model card: what a shipped model is, how good, for what, and how to make it again.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecgxai_core.models.training.config import TrainParams
from ecgxai_core.records.labels import SUPERCLASSES

__all__ = ["model_card", "what_it_sees"]

_DATA = """\
PTB-XL 1.0.1 at 100 Hz (Wagner et al., "PTB-XL, a large publicly available electrocardiography
dataset", Scientific Data 7:154, 2020, https://doi.org/10.1038/s41597-020-0495-6), licence
CC BY 4.0. The weights are ours. Trained on folds {train}, tuned on fold {tune}; fold 10 was not
used in any way. The folds never divide a patient. Statements of any likelihood count as present.
No simulated record was used."""

_LIMITS = """\
- For research and teaching only; not a medical device. Never for decisions about patients.
- One centre's recordings of 1989-1996 in Germany; other devices, filters and populations may give
  worse probabilities. Labels are a cardiologist's or a machine's statements, with their errors.
- The figures above are from the tuning fold, which chose the epoch, temperature and thresholds;
  on records that chose nothing they will be a little lower.
- Classes with few records (see the table) have wide intervals. Premature supraventricular beats,
  PR and QT prolongation and small T changes are the least certain.
- `NORM`, `MI`, `STTC`, `CD` and `HYP` are PTB-XL's diagnostic superclasses, not SNOMED-CT codes;
  no leads or time windows are tabulated for them, so explanations of them get no plausibility."""


def model_card(
    params: TrainParams, results: Mapping[str, Any], sees: str, command: str, fs: float
) -> str:
    """Markdown text of the card; ``results`` are those of ``export_run``."""
    folds = (
        ", ".join(map(str, params.data.train_folds)),
        ", ".join(map(str, params.data.tune_folds)),
    )
    parts = [
        f"# {params.name}",
        f"`{params.model.name}` with {results['parameters']:,} parameters and "
        f"{len(results['per_class'])} outputs; input: 12 leads x 10 s at "
        f"{fs:g} Hz in mV, no filter, no normalisation.",
        "## Data",
        _DATA.format(train=folds[0], tune=folds[1]),
        "## How good (tuning fold)",
        _headline(results),
        _table(results),
        "## By group",
        _groups(results),
        "## What it can see",
        sees,
        "## Limits",
        _LIMITS,
        "## How to make it again",
        f"```\n{command}\n```",
        f"Seed {params.seed}; epoch {results['epoch']} of {params.schedule.epochs} was the best on "
        f"the tuning fold; source revision `{results['revision']}`. The same machine gives the "
        "same weights, another one slightly different ones.",
    ]
    return "\n\n".join(parts) + "\n"


def what_it_sees(params: TrainParams, fs: float) -> str:
    """What the architecture can and cannot look at, in words."""
    if params.model.name == "resnet1d":
        from ecgxai_core.models.zoo.resnet1d import DEFAULT, receptive_field

        samples = receptive_field(params.model.options or DEFAULT)
        return _SHORT_SIGHT.format(samples=samples, seconds=samples / fs)
    if params.model.name == "lead_attention":
        return _ATTENTION
    return "The whole record."


_SHORT_SIGHT = """\
There is no stride and no pooling before the end: each feature sees {samples} samples
({seconds:.2f} s) of all leads, and the prediction is a function of the features' mean over the
record. It can see waves, PR, QRS and ST-T, and how often beats come; it cannot see how far apart
two beats are. Irregular intervals are invisible to it: atrial fibrillation is known by what stands
between the QRS complexes, premature beats by their shape, and sinus arrhythmia hardly at all."""

_ATTENTION = """\
Each lead is encoded by itself with shared weights; a softmax over moments of each lead and one over
leads say what counts, beside the plain mean over time of each lead. Both attentions are outputs of
the model. Attention shows where the model takes its features from; it is not by itself a measure
of how much a moment or lead changes the prediction."""


def _with_interval(value: float, interval: list[float] | None) -> str:
    if not interval:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _headline(results: Mapping[str, Any]) -> str:
    supers, every, found = results["superclasses"], results["macro"], results["intervals"]
    return (
        f"{results['records']} records of {results['patients']} patients. 95 % intervals from "
        "resampled patients.\n\n"
        "| | macro AUROC | macro AUPRC | macro F1 | ECE |\n|---|---|---|---|---|\n"
        f"| five superclasses | {_with_interval(supers['auroc'], found['auroc_superclasses'])} "
        f"| {supers['auprc']:.3f} | {supers['f1']:.3f} | {supers['ece']:.3f} |\n"
        f"| all outputs | {_with_interval(every['auroc'], found['auroc'])} "
        f"| {every['auprc']:.3f} | {every['f1']:.3f} | {every['ece']:.3f} |\n\n"
        f"Temperature {results['temperature']:.3f}, fitted on the tuning fold and kept in the "
        "manifest. F1, sensitivity and specificity are at the threshold of largest F1, chosen on "
        "the same fold."
    )


def _table(results: Mapping[str, Any]) -> str:
    lines = [
        "| output | | records | AUROC | AUPRC | F1 | sensitivity | specificity |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results["per_class"].items():
        auroc = _with_interval(row["auroc"], row.get("auroc_interval"))
        lines.append(
            f"| {name} | {_title(name)} | {row['positives']} | {auroc} | {row['auprc']:.3f} "
            f"| {row['f1']:.3f} | {row['sensitivity']:.3f} | {row['specificity']:.3f} |"
        )
    return "\n".join(lines)


def _groups(results: Mapping[str, Any]) -> str:
    lines = [
        "| group | records | macro AUROC, superclasses | macro AUROC, all |",
        "|---|---|---|---|",
    ]
    for kind, groups in results["subgroups"].items():
        for value, row in groups.items():
            lines.append(
                f"| {kind} {value} | {row['records']} | {row['auroc_superclasses']:.3f} "
                f"| {row['auroc']:.3f} |"
            )
    return "\n".join(lines)


def _title(name: str) -> str:
    if name in SUPERCLASSES:
        return "superclass"
    from ecgxai_core.diagnoses import term_of

    return term_of(name).name
