import math

import pytest
import torch
from torch.nn.functional import normalize, softmax

from spectralearth_build.pretrain.augment import Augmentation
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.objectives.dino import Dino, DinoConfig
from spectralearth_build.pretrain.objectives.heads import DinoHead

SAME = Augmentation(scale=(1, 1), ratio=(1, 1), flip=0)


def dino(**config) -> Dino:
    torch.manual_seed(0)
    config = {"hidden": 16, "bottleneck": 8, "prototypes": 12, "views": SAME} | config
    return Dino(SpectralViT(80, (24, 1, 3), 4, 8), DinoConfig(**config))


@pytest.mark.parametrize("total", [10, 100, 997])
def test_the_teacher_stops_only_at_the_last_step(total):
    made = dino()
    ours = [made.momentum_at(step / total) for step in range(1, total + 1)]
    assert ours[-1] == 1.0
    assert max(ours[:-1]) < 1.0
    assert ours == sorted(ours)
    assert ours[0] >= 0.996


def test_officially_it_stops_after_a_tenth():
    official = dino(official=True)
    assert official.momentum_at(0.05) < 1
    assert official.momentum_at(0.1) == official.momentum_at(0.5) == 1.0


def test_momentum_is_half_a_cosine():
    expected = 1 - 0.5 * 0.004 * (1 + math.cos(math.pi * 0.3))
    assert dino().momentum_at(0.3) == pytest.approx(expected, abs=1e-8)


def test_the_teacher_starts_as_the_student_and_follows():
    made = dino()
    before = [p.clone() for p in made.teacher.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, made.encoder.parameters(), strict=True))
    with torch.no_grad():
        for p in made.encoder.parameters():
            p.mul_(2)
    made.after_step(0.0)
    for old, teacher, student in zip(
        before, made.teacher.parameters(), made.encoder.parameters(), strict=True
    ):
        torch.testing.assert_close(teacher, 0.996 * old + 0.004 * student.detach(), rtol=1e-5, atol=1e-7)


def test_loss_centre_and_entropy_follow_the_definition():
    made = dino().eval()
    views = [torch.randn(4, 80, 8, 8) for _ in range(2)]
    made.centre += torch.randn(1, 12) * 0.1
    centre = made.centre.clone()
    logits = [made.teacher_head(made.teacher(v)) for v in views]
    targets = [softmax((each - centre) / 0.04, -1) for each in logits]
    logs = [torch.log_softmax(made.head(made.encoder(v)) / 0.1, -1) for v in views]
    expected = (-(targets[0] * logs[1]).sum(1).mean() - (targets[1] * logs[0]).sum(1).mean()) / 2
    torch.testing.assert_close(made.loss(views, []), expected)
    torch.testing.assert_close(made.centre, 0.9 * centre + 0.1 * torch.cat(logits).mean(0))
    entropy = -(targets[0] * targets[0].clamp(min=1e-30).log()).sum(1).mean()
    torch.testing.assert_close(made.monitors()["teacher_entropy"], entropy)


def test_prototypes_wait_at_the_start():
    made = dino(freeze_prototypes=0.5)
    for done, there in ((0.0, False), (0.49, False), (0.5, True)):
        made.head.prototypes.grad = torch.ones_like(made.head.prototypes)
        made.before_step(done)
        assert (made.head.prototypes.grad is not None) is there


def test_local_crops_are_for_the_student_only():
    made = dino(local_crops=3, local=Augmentation(size=4, scale=(0.1, 0.4)))
    seen = []
    made.encoder.register_forward_hook(lambda module, args, out: seen.append(args[0].shape[-1]))
    taught = []
    made.teacher.register_forward_hook(lambda module, args, out: taught.append(args[0].shape[-1]))
    made(torch.randn(2, 2, 80, 8, 8), torch.arange(2), torch.Generator().manual_seed(0))
    assert (seen, taught) == ([8, 8, 4, 4, 4], [8, 8])


def test_outputs_are_cosines_to_prototypes():
    head = DinoHead(6, 16, 8, 5)
    x = torch.randn(3, 6)
    expected = normalize(head.layers(x), dim=1) @ normalize(head.prototypes, dim=1).T
    torch.testing.assert_close(head(x), expected)
    assert head(x).abs().max() <= 1 + 1e-6
