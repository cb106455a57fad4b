import math

import pytest
import torch
from torch import nn

from spectralearth_build.errors import StoppedError, UsageError
from spectralearth_build.evaluate import train as loop
from spectralearth_build.evaluate.heads.plain import Linear
from spectralearth_build.evaluate.instant import solve
from spectralearth_build.evaluate.protocol import Model
from spectralearth_build.evaluate.scoring import Scorer, loss_of
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.evaluate.train import Learner
from spectralearth_build.pretrain.spectra import Spectra
from spectralearth_build.pretrain.weights import CountsEncoder

CPU = torch.device("cpu")
CONFIG = EvaluateConfig(labels="a", task="single", epochs=8, batch=16, rate=0.1)


class Mean(nn.Module):
    """An encoder of three bands."""

    dim, stride, levels = 3, 1, ((3, 1),)

    def __init__(self):
        super().__init__()
        self.adapter = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.adapter(x.mean((2, 3)))


class Given:
    """A stream of what it is given."""

    def __init__(self, vectors, truth, batch=16):
        self.vectors, self.truth, self.batch = vectors, truth, batch

    def __len__(self):
        return -(-len(self.truth) // self.batch)

    def epoch(self, number):
        return (
            ([vectors], truth)
            for vectors, truth in zip(
                self.vectors.split(self.batch), self.truth.split(self.batch), strict=True
            )
        )


def learner(config=CONFIG, classes=3):
    torch.manual_seed(0)
    spectra = Spectra((1.0, 2.0, 3.0), (0.0,) * 3, (1.0,) * 3)
    head = None if config.instant else Linear(3, classes)
    return Learner(Model(CountsEncoder(Mean(), spectra), head, config.protocol), config, classes, CPU, False)


def points(count, seed):
    """Three classes, far apart."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.arange(count) % 3
    return 4 * nn.functional.one_hot(truth, 3) + torch.randn(count, 3, generator=draw), truth


def test_what_can_be_told_apart_is_learned(monkeypatch):
    made = learner()
    rates = []
    real = loop.set_rate
    monkeypatch.setattr(loop, "set_rate", lambda *args: rates.append(real(*args)) or rates[-1])
    found = made.learn(Given(*points(48, 0)), Given(*points(30, 1)))
    assert [row["epoch"] for row in found.curve] == list(range(1, 9))
    assert found.curve[-1]["loss"] < 0.3 * found.curve[0]["loss"]
    assert found.figures["oa"] > 0.9
    assert found.figures == made.judge(Given(*points(30, 1)), made.answer).figures()
    # Half a cosine over all steps, to 0 at the last one.
    expected = [0.05 * (1 + math.cos(math.pi * step / 23)) for step in range(24)]
    assert rates == pytest.approx(expected, abs=1e-12)
    assert found.curve[-1]["rate"] == pytest.approx(0, abs=1e-12)


def test_the_first_of_the_best_epochs_is_kept(monkeypatch):
    figures = iter([0.2, math.nan, 0.7, 0.5, 0.7, 0.1, 0.0, 0.3])
    heads = []

    def judge(self, part, answer, threshold=0.0):
        heads.append(self.model.head.classify.weight.detach().clone())
        scorer = Scorer("single", 3, CPU)
        value = next(figures)
        scorer.figures = lambda: {"f1_macro": value}
        return scorer

    monkeypatch.setattr(Learner, "judge", judge)
    made = learner()
    found = made.learn(Given(*points(48, 0)), Given(*points(30, 1)))
    assert found.epoch == 3
    assert found.figures == {"f1_macro": 0.7}
    assert torch.equal(made.model.head.classify.weight, heads[2])
    assert not torch.equal(heads[2], heads[-1])


def test_a_val_that_decides_nothing_is_refused(monkeypatch):
    scorer = Scorer("single", 3, CPU)
    monkeypatch.setattr(Learner, "judge", lambda *_: scorer)  # it has counted nothing
    with pytest.raises(UsageError, match="f1_macro on val is undefined"):
        learner().learn(Given(*points(48, 0)), Given(*points(30, 1)))


def test_a_loss_that_is_no_number_is_refused():
    vectors, truth = points(48, 0)
    with pytest.raises(UsageError, match=r"The loss is nan in epoch 1.*Lower --rate"):
        learner().learn(Given(vectors * math.inf, truth), Given(*points(30, 1)))


def test_a_signal_ends_it(monkeypatch):
    def stopped():
        raise StoppedError("Stopped by SIGTERM.")

    monkeypatch.setattr(loop, "raise_if_stopped", stopped)
    with pytest.raises(StoppedError):
        learner().learn(Given(*points(48, 0)), Given(*points(30, 1)))


def test_batches_of_one_and_of_none_do_not_stop_a_head_with_batch_normalisation():
    made = learner(CONFIG.changed(epochs=2))
    made.model.head.classify = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
    vectors, truth = points(17, 0)

    class Gaps(Given):
        def __len__(self):
            return 3

        def epoch(self, number):
            yield [self.vectors[:0]], self.truth[:0]
            yield from super().epoch(number)

    found = made.learn(Gaps(vectors, truth), Given(*points(30, 1)))
    assert found.curve[-1]["rate"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("head", ["knn", "ridge"])
def test_instant_heads_choose_on_val(head):
    made = learner(CONFIG.changed(head=head))
    val = Given(*points(30, 1))
    answer, figures, said = solve(made, Given(*points(48, 0)), val)
    assert figures["oa"] > 0.9
    assert figures == made.judge(val, answer, 0.5).figures()
    assert ("neighbours" if head == "knn" else "penalty") in said
    assert made.model.trainable() == (0, 0)


def test_instant_heads_answer_several_labels():
    draw = torch.Generator().manual_seed(0)
    truth = torch.rand(60, 3, generator=draw) < 0.5
    vectors = 3.0 * truth + 0.3 * torch.randn(60, 3, generator=draw)
    for head in ("knn", "ridge"):
        made = learner(CONFIG.changed(task="multilabel", head=head))
        answer, _, _ = solve(made, Given(vectors[:40], truth[:40]), Given(vectors[40:50], truth[40:50]))
        test = made.judge(Given(vectors[50:], truth[50:]), answer, 0.5).figures()
        assert test["f1_micro"] > 0.9
        assert test["map_macro"] > 0.9


def test_losses_are_those_of_their_formulas():
    torch.manual_seed(0)
    scores, truth = torch.randn(5, 3), torch.rand(5, 3) < 0.5
    p = scores.sigmoid()
    expected = -torch.where(truth, p.log(), (1 - p).log()).mean()
    torch.testing.assert_close(loss_of(scores, truth, "multilabel"), expected)
    one = torch.tensor([0, 2, 1, 1, 0])
    expected = -scores.log_softmax(1)[torch.arange(5), one].mean()
    torch.testing.assert_close(loss_of(scores, one, "single"), expected)
    maps = torch.randint(0, 3, (2, 4, 4), dtype=torch.uint8)
    maps[0, :2] = 255
    logits = torch.randn(2, 3, 4, 4)
    each = [
        -logits[k, :, y, x].log_softmax(0)[int(maps[k, y, x])] for k, y, x in (maps != 255).nonzero().tolist()
    ]
    torch.testing.assert_close(loss_of(logits, maps, "segmentation"), torch.stack(each).mean())
    assert loss_of(logits, torch.full_like(maps, 255), "segmentation") == 0
    assert loss_of(logits, maps, "segmentation", 5.0) != loss_of(logits, maps, "segmentation")


def test_figures_say_which_average_and_iou_is_of_pixels():
    truth = torch.tensor([0, 1, 1, 2])
    single, pixels = Scorer("single", 3, CPU), Scorer("segmentation", 3, CPU)
    scores = nn.functional.one_hot(torch.tensor([0, 1, 2, 2]), 3).float()
    single.update(scores, truth)
    pixels.update(scores[None, :, :, None].transpose(1, 2), truth.to(torch.uint8)[None, :, None])
    assert single.figures()["oa"] == pixels.figures()["oa"] == 0.75
    assert not [name for name in single.figures() if "iou" in name]
    assert {"iou_micro", "iou_macro"} <= set(pixels.figures())
    assert not [name for name in pixels.figures() if name == "miou"]
    assert "iou" in pixels.per_class()[0]
    assert "iou" not in single.per_class()[0]
