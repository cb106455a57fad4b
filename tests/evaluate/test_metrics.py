"""Figures against torchmetrics, against counting by loops, and against closed forms."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torchmetrics.functional import classification as reference

from spectralearth_build.evaluate.metrics import Confusion, MultiLabel, average_precision
from spectralearth_build.labels.classes import IGNORE

EXACT = {"rel": 1e-5, "abs": 1e-6}  # torchmetrics counts in float32


def confusion(prediction, truth, classes):
    counted = Confusion(classes)
    for part in zip(prediction.chunk(3), truth.chunk(3), strict=True):
        counted.update(*part)
    return counted


def random_maps(seed, classes=7, absent=(5,), only_predicted=(3,), ignored=0.3):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (6, 9, 11), generator=generator)
    prediction = torch.where(
        torch.rand(truth.shape, generator=generator) < 0.5,
        truth,
        torch.randint(classes, truth.shape, generator=generator),
    )
    for each in (*absent, *only_predicted):
        truth[truth == each] = 0
    for each in absent:
        prediction[prediction == each] = 1
    truth[torch.rand(truth.shape, generator=generator) < ignored] = IGNORE
    return prediction, truth.to(torch.uint8)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("absent", [(), (5,), (0, 6)])
def test_figures_equal_torchmetrics_with_ignored_and_absent_classes(seed, absent):
    prediction, truth = random_maps(seed, absent=absent)
    found = confusion(prediction, truth, 7).figures()
    theirs = {
        "oa": (reference.multiclass_accuracy, "micro"),
        "aa": (reference.multiclass_accuracy, "macro"),
        "iou_micro": (reference.multiclass_jaccard_index, "micro"),
        "iou_macro": (reference.multiclass_jaccard_index, "macro"),
        "f1_micro": (reference.multiclass_f1_score, "micro"),
        "f1_macro": (reference.multiclass_f1_score, "macro"),
    }
    expected = {
        name: float(function(prediction, truth.long(), 7, average=average, ignore_index=IGNORE))
        for name, (function, average) in theirs.items()
    }
    assert found == pytest.approx(expected, **EXACT)


@given(
    st.integers(2, 5).flatmap(
        lambda classes: st.tuples(
            st.just(classes),
            st.lists(
                st.tuples(st.integers(0, classes - 1), st.sampled_from([*range(classes), IGNORE])),
                min_size=1,
                max_size=40,
            ),
        )
    )
)
def test_figures_equal_counting_by_loops(case):
    classes, pairs = case
    prediction, truth = torch.tensor(pairs).T
    figures = confusion(prediction, truth, classes).figures()
    kept = [pair for pair in pairs if pair[1] != IGNORE]
    if not kept:
        assert all(map(math.isnan, figures.values()))
        return
    ious, f1s, recalls = [], [], []
    for each in range(classes):
        hits = sum(p == t == each for p, t in kept)
        extra = sum(p == each != t for p, t in kept)
        missed = sum(t == each != p for p, t in kept)
        if hits + extra + missed:
            ious.append(Fraction(hits, hits + extra + missed))
            f1s.append(Fraction(2 * hits, 2 * hits + extra + missed))
            recalls.append(Fraction(hits, hits + missed) if hits + missed else Fraction(0))
    right = sum(p == t for p, t in kept)
    expected = {
        "oa": Fraction(right, len(kept)),
        "aa": sum(recalls) / len(recalls),
        "iou_micro": Fraction(right, 2 * len(kept) - right),
        "iou_macro": sum(ious) / len(ious),
        "f1_micro": Fraction(right, len(kept)),
        "f1_macro": sum(f1s) / len(f1s),
    }
    assert figures == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_micro_iou_is_a_function_of_accuracy_and_not_the_mean_over_classes(seed):
    """The published code's mIoU: the twelfth known defect."""
    figures = confusion(*random_maps(seed, only_predicted=(2, 3, 4)), 7).figures()
    assert figures["iou_micro"] == pytest.approx(figures["oa"] / (2 - figures["oa"]), abs=1e-12)
    assert abs(figures["iou_macro"] - figures["iou_micro"]) > 0.01
    assert "miou" not in {name.lower() for name in figures}


def test_a_rare_class_moves_the_macro_only():
    truth = torch.tensor([0] * 98 + [1] * 2)
    figures = confusion(torch.zeros_like(truth), truth, 2).figures()
    assert figures["iou_micro"] == pytest.approx(98 / 102)
    assert figures["iou_macro"] == pytest.approx(0.98 / 2)


def test_one_global_matrix_and_no_mean_of_batches():
    prediction, truth = random_maps(11)
    assert torch.equal(confusion(prediction, truth, 7).matrix(), whole := count(prediction, truth, 7))
    assert whole.sum() == (truth != IGNORE).sum()


def count(prediction, truth, classes):
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for p, t in zip(prediction.flatten().tolist(), truth.flatten().tolist(), strict=True):
        if t != IGNORE:
            matrix[t, p] += 1
    return matrix


def test_what_each_class_gets():
    counted = Confusion(4)
    counted.update(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 1]))
    rows = counted.per_class()
    assert rows[1] == pytest.approx(
        {"iou": 1 / 3, "f1": 0.5, "precision": 1.0, "recall": 1 / 3, "support": 3}
    )
    assert rows[0] == pytest.approx({"iou": 0.5, "f1": 2 / 3, "precision": 0.5, "recall": 1.0, "support": 1})
    assert rows[2]["iou"] == 0
    assert math.isnan(rows[2]["recall"])
    assert math.isnan(rows[3]["iou"])


def test_numbers_that_are_no_class_are_found_when_figures_are_asked_for():
    for prediction, truth in ((3, 0), (0, 3), (-1, 0), (0, -1)):
        counted = Confusion(3)
        counted.update(torch.tensor([0, prediction]), torch.tensor([0, truth]))
        with pytest.raises(ValueError, match="1 pixels have a class index outside 0 to 2"):
            counted.figures()
    with pytest.raises(ValueError, match="differ"):
        Confusion(3).update(torch.zeros(2), torch.zeros(3))


def test_counting_never_waits_for_the_device():
    """Tensors without values: whatever needed one on the CPU would fail."""
    with FakeTensorMode():
        counted, labels = Confusion(5), MultiLabel(5)
        counted.update(torch.zeros(2, 4, 4, dtype=torch.int64), torch.zeros(2, 4, 4, dtype=torch.uint8))
        labels.update(torch.zeros(2, 5), torch.zeros(2, 5, dtype=torch.bool))
        with pytest.raises(DataDependentOutputException):
            counted.figures()  # the check can fail: this does wait


def random_labels(seed, classes=6, levels=0):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(80, classes, generator=generator) < 0.3
    scores = torch.randn(80, classes, generator=generator) + truth
    truth[:, 4] = False  # a class without positives
    scores[:, 5], truth[:, 5] = -1.0, False  # one that is not predicted either
    if levels:
        scores = (scores * levels).round() / levels
    return scores, truth


def multi_label(scores, truth):
    counted = MultiLabel(scores.shape[1])
    for part in zip(scores.chunk(4), truth.chunk(4), strict=True):
        counted.update(*part)
    return counted


@pytest.mark.filterwarnings("ignore:No positive samples:UserWarning")
@pytest.mark.parametrize("levels", [0, 1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_multi_label_figures_equal_torchmetrics_with_ties_and_absent_classes(seed, levels):
    scores, truth = random_labels(seed, levels=levels)
    found = multi_label(scores, truth).figures()
    probability = scores.sigmoid()
    expected = {
        f"{short}_{average}": float(function(probability, truth.long(), 6, average=average))
        for short, function in (
            ("f1", reference.multilabel_f1_score),
            ("map", reference.multilabel_average_precision),
        )
        for average in ("micro", "macro")
    }
    assert found == pytest.approx(expected, **EXACT)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_average_precision_is_the_sum_over_thresholds(pairs):
    """Every distinct score is a threshold: sum of (recall - recall before) x precision, in fractions."""
    positives = sum(t for _, t in pairs)
    expected, before = Fraction(0), Fraction(0)
    for threshold in sorted({s for s, _ in pairs}, reverse=True):
        chosen = [t for s, t in pairs if s >= threshold]
        recall = Fraction(sum(chosen), positives) if positives else Fraction(0)
        expected += (recall - before) * Fraction(sum(chosen), len(chosen))
        before = recall
    scores, truth = (torch.tensor(list(each)) for each in zip(*pairs, strict=True))
    found = average_precision(scores[:, None].float(), truth[:, None])
    assert float(found) == pytest.approx(float(expected), abs=1e-12)


def test_average_precision_does_not_depend_on_the_order_of_samples():
    scores, truth = random_labels(1, levels=1)
    order = torch.randperm(len(scores))
    torch.testing.assert_close(
        average_precision(scores, truth), average_precision(scores[order], truth[order])
    )


def test_thresholds_and_what_each_class_gets_with_several_labels():
    scores = torch.tensor([[0.9, 0.4], [0.42, 0.45]])
    truth = torch.tensor([[1, 1], [0, 1]])
    counted = MultiLabel(2, threshold=0.5)
    counted.update(scores, truth)
    assert counted.figures() == pytest.approx(
        {"f1_micro": 0.5, "f1_macro": 0.5, "map_micro": 11 / 12, "map_macro": 1.0}
    )
    rows = counted.per_class()
    assert [row["support"] for row in rows] == [1, 2]
    assert [row["f1"] for row in rows] == [1.0, 0.0]
    with pytest.raises(ValueError, match="Expected"):
        counted.update(scores[:, :1], truth[:, :1])


def test_nothing_counted_has_no_figures():
    assert all(map(math.isnan, MultiLabel(3).figures().values()))
    assert all(map(math.isnan, Confusion(3).figures().values()))
