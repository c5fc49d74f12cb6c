"""``ecgxai what-if``."""

from __future__ import annotations

import pandas as pd
import pytest


def test_a_curve_is_shown_and_written(cli, tiny_data, tiny_model, tmp_path):
    out = tmp_path / "curve.csv"
    code, said, err = cli(
        "what-if", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF",
        "--edit", "st_level", "--sizes=-0.2:0.2:0.2", "--lead", "V2", "--out", out,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "flip" in said
    table = pd.read_csv(out)
    assert table["size"].round(9).tolist() == [-0.2, 0.0, 0.2]
    assert {"measured", "unusual", "164889003", "426783006"} <= set(table.columns)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--edit", "magic", "--sizes", "1"], "no such edit"),
        (["--edit", "pr", "--sizes", "1:2"], "neither numbers with commas"),
        (["--edit", "pr", "--sizes", "0:nan:1"], "neither numbers with commas"),
        (["--edit", "mask", "--sizes", "1", "--span", "3:1"], "is not FROM:TO"),
    ],
)
def test_a_wrong_option_is_one_line(cli, tiny_data, tiny_model, more, said):
    code, _, err = cli(
        "what-if", tiny_data / "T000.hea", "--model", tiny_model, "--target", "AF", *more
    )
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
