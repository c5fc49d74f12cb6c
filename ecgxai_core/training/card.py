"""Model cards, after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecgxai_core.records.catalogues.ptbxl import SUPERCLASSES
from ecgxai_core.training.config import TrainParams
from ecgxai_core.training.zoo import receptive_field

__all__ = ["model_card", "receptive_field_text"]

_DATA = """\
PTB-XL 1.0.1 at 100 Hz (Wagner et al., "PTB-XL, a large publicly available electrocardiography
dataset", Scientific Data 7:154, 2020, https://doi.org/10.1038/s41597-020-0495-6), licence
CC BY 4.0. The weights were trained by this project on folds {train} and tuned on fold {tune};
fold 10 was not used in any way. All records of a patient are in the same fold. Diagnostic
statements of any likelihood count as present. No simulated record was used."""

_LIMITS = """\
- For research and teaching only; not a medical device. Not for decisions about patients.
- The recordings come from one German centre (1989-1996); performance may be worse with other
  devices, filters and populations. Labels are statements of cardiologists or of ECG machines and
  contain errors.
- The figures above are from the tuning fold, on which epoch, temperature and thresholds were
  chosen; on other records they will be slightly lower.
- Classes with few records (see the table) have wide intervals. Premature supraventricular beats,
  PR and QT prolongation and minor T wave changes are the least certain.
- `NORM`, `MI`, `STTC`, `CD` and `HYP` are PTB-XL's diagnostic superclasses, not SNOMED-CT codes;
  no leads or time windows are tabulated for them, so their explanations have no plausibility
  scores."""


def model_card(
    params: TrainParams, results: Mapping[str, Any], field: str, command: str, fs: float
) -> str:
    """Markdown text of a model card.

    Parameters
    ----------
    params, results
        Configuration of the run, and what ``export_run`` returned.
    field
        Text about the receptive field, see :func:`receptive_field_text`.
    command
        Command that reproduces the model.
    fs
        Sampling rate, Hz.
    """
    train, tune = (
        ", ".join(map(str, f)) for f in (params.data.train_folds, params.data.tune_folds)
    )
    parts = [
        f"# {params.name}",
        f"`{params.model.name}` with {results['parameters']:,} parameters and "
        f"{len(results['per_class'])} outputs; input: 12 leads x 10 s at "
        f"{fs:g} Hz in mV, no filter, no normalisation.",
        "## Data",
        _DATA.format(train=train, tune=tune),
        "## Performance (tuning fold)",
        _headline(results),
        _table(results),
        "## Subgroups",
        _groups(results),
        "## Receptive field",
        field,
        "## Limits",
        _LIMITS,
        "## Reproducing the model",
        f"```\n{command}\n```",
        f"Seed {params.seed}; epoch {results['epoch']} of {params.schedule.epochs} was the best on "
        f"the tuning fold; source revision `{results['revision']}`. The same machine reproduces "
        "the weights exactly; another machine gives slightly different ones.",
    ]
    return "\n\n".join(parts) + "\n"


def receptive_field_text(params: TrainParams, fs: float) -> str:
    """What the architecture can and cannot use as evidence, in words."""
    samples = receptive_field(params.model.name, params.model.options)
    if samples is not None:
        return _SHORT_FIELD.format(samples=samples, seconds=samples / fs)
    return _ATTENTION if params.model.name == "lead_attention" else "The whole record."


_SHORT_FIELD = """\
There is no stride and no pooling before the last layer: each feature covers {samples} samples
({seconds:.2f} s) of all leads, and the prediction is a function of the features' mean over the
record. The model can use the shape of waves, PR, QRS and ST-T, and how often they occur, but not
the intervals between beats. It cannot detect irregular rhythm: it recognises atrial fibrillation
by the signal between the QRS complexes, premature beats by their shape, and sinus arrhythmia
hardly at all."""

_ATTENTION = """\
Each lead is encoded separately with shared weights. A softmax over the time steps of each lead and
one over the leads weight the features; the mean over time of each lead is used as well. Both
attentions are outputs of the model. Attention shows where features are taken from; by itself it
does not measure how much a time step or lead changes the prediction."""


def _with_interval(value: float, interval: list[float] | None) -> str:
    if not interval:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval[0]:.3f}-{interval[1]:.3f})"


def _headline(results: Mapping[str, Any]) -> str:
    supers, every, found = results["superclasses"], results["macro"], results["intervals"]
    return (
        f"{results['records']} records of {results['patients']} patients. 95 % intervals by "
        "bootstrap over patients.\n\n"
        "| | macro AUROC | macro AUPRC | macro F1 | ECE |\n|---|---|---|---|---|\n"
        f"| five superclasses | {_with_interval(supers['auroc'], found['auroc_superclasses'])} "
        f"| {supers['auprc']:.3f} | {supers['f1']:.3f} | {supers['ece']:.3f} |\n"
        f"| all outputs | {_with_interval(every['auroc'], found['auroc'])} "
        f"| {every['auprc']:.3f} | {every['f1']:.3f} | {every['ece']:.3f} |\n\n"
        f"Temperature {results['temperature']:.3f}, fitted on the tuning fold and stored in the "
        "manifest. F1, sensitivity and specificity are at the threshold that maximises F1 on the "
        "same fold."
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
    lines += [
        f"| {kind} {value} | {row['records']} | {row['auroc_superclasses']:.3f} "
        f"| {row['auroc']:.3f} |"
        for kind, groups in results["subgroups"].items()
        for value, row in groups.items()
    ]
    return "\n".join(lines)


def _title(name: str) -> str:
    if name in SUPERCLASSES:
        return "superclass"
    from ecgxai_core.diagnoses import term_of

    return term_of(name).name
