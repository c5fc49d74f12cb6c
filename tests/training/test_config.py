"""The training file: values, overrides, and refusal of unknown names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgxai_core.errors import ParameterError
from ecgxai_core.settings import assets_dir
from ecgxai_core.training.config import read_train_params
from ecgxai_core.training.zoo import Shape, build, receptive_field


def write(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_and_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "a"\n[schedule]\nepochs = 5\n[model]\nname = "cnn"\n')
    params = read_train_params(path, {"schedule.epochs": 7, "loss.kind": "focal"})
    assert (params.name, params.schedule.epochs, params.loss.kind) == ("a", 7, "focal")


@pytest.mark.parametrize(
    "text", ["nonsense", "epochs = 5", "[schedule]\nepochs = 0", '[loss]\nkind = "l2"', "data = 3"]
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        read_train_params(write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ptbxl_resnet", "ptbxl_attention"])
def test_the_shipped_training_files_do_not_use_the_test_fold(name: str) -> None:
    params = read_train_params(assets_dir() / "models" / name / "train.toml")
    assert params.name == name
    assert params.data.train_folds == (1, 2, 3, 4, 5, 6, 7, 8)
    assert params.data.tune_folds == (9,)


@pytest.mark.parametrize("path", sorted((assets_dir() / "training").glob("*.toml")), ids=str)
def test_the_configurations_that_come_with_the_program_are_valid_and_small_enough(path) -> None:
    params = read_train_params(path)
    assert params.name == path.stem
    assert params.data.outputs == ("codes", "superclasses", "statements")
    assert 9 not in params.data.train_folds
    if params.name.startswith("student"):
        model = build(params.model.name, Shape(1000, 12, 99), params.model.options)
        assert 4 * model.count_params() < 4_000_000  # bytes
        field = receptive_field(params.model.name, params.model.options)
        assert field is None or field <= 47
