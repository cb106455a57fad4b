import pandas as pd
import pytest
import torch
from torch import nn

from spectralearth_build.bench.pretraining import training, training_report
from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.cost import kept_bytes, step_flops
from spectralearth_build.pretrain.encoders.vit import SIZES, SpectralViT
from spectralearth_build.pretrain.objectives.base import Objective
from spectralearth_build.pretrain.objectives.mae import Mae, MaeConfig

CPU = torch.device("cpu")


def test_names_and_cases_are_the_same_thing():
    for case in training.CASES:
        assert training.case_of(case.name) == case
    with pytest.raises(UsageError, match="is not an objective and an encoder"):
        training.case_of("jepa vit_s/4")
    with pytest.raises(UsageError, match="is not an objective"):
        training.case_of("distil vit_s/4")  # needs a teacher


def test_operations_are_counted_as_by_hand():
    """An MAE of one block each, forward and backward, against the count of its products."""
    encoder = SpectralViT(80, (24, 1, 3), 4, 16)
    mae = Mae(encoder, MaeConfig(mask=0.5, dim=16, depth=1, heads=4))
    batch, visible, hidden, values = 2, 8, 8, 80 * 16

    def block(tokens, dim):
        return tokens * 2 * dim * 12 * dim + 2 * 2 * tokens * tokens * dim

    bands = [80, 16, 3, 1]  # what the three convolutions leave
    adapter = sum(
        2 * c_in * c_out * k * left
        for c_in, c_out, k, left in ((1, 32, 7, 16), (32, 64, 7, 3), (64, 128, 5, 1))
    )
    assert bands[1:] == [16, 3, 1]
    forward = batch * (
        visible * 16 * adapter
        + visible * 2 * 128 * 16 * 24
        + block(1 + visible, 24)
        + (1 + visible) * 2 * 24 * 16
        + block(1 + visible + hidden, 16)
        + hidden * 2 * 16 * values
    )
    found = step_flops(mae, torch.randn(batch, 1, 80, 16, 16), torch.zeros(batch, dtype=torch.long))
    assert (
        2.5 * forward < found < 3.5 * forward
    )  # backward is twice forward, and attention is done again in it


def test_kept_bytes_are_counted_as_by_hand():
    """Of a linear layer and a square: the input of each; nothing that only repeats a parameter."""

    class Small(Objective):
        def __init__(self):
            nn.Module.__init__(self)
            self.layer = nn.Linear(16, 8)

        def forward(self, series, places, draw):
            return self.layer(series.flatten(1)).square().sum()

    found = kept_bytes(Small(), torch.randn(4, 1, 1, 4, 4), torch.zeros(4), half=False)
    assert found == 4 * (4 * 16 + 4 * 8)


@pytest.mark.slow
def test_a_case_is_measured(monkeypatch, tmp_path):
    monkeypatch.setitem(SIZES, "s", (24, 1, 3))
    row = training.measure(training.TrainingCase("mae", "vit_s", 32), CPU, 1, 1, precision="fp32")
    assert row["samples_per_s"] > 0
    assert row["gflop_per_sample"] > 0.1
    frame = training.table([row], 1e12, 1e9)
    assert frame["share_of_limit"][0] == pytest.approx(row["flops_per_s"] / 1e12)
    assert isinstance(frame, pd.DataFrame)
    text = "\n".join(training_report.lines(frame, "here"))
    assert "mae vit_s/32" in text
    assert training_report.draw(frame, tmp_path / "p.png", "here").read_bytes().startswith(b"\x89PNG")
