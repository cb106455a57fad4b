import torch
from torch import nn
from torch.nn.functional import normalize

from spectralearth_build.pretrain.augment import Augmentation
from spectralearth_build.pretrain.encoders.vit import SpectralViT
from spectralearth_build.pretrain.objectives.losses import info_nce
from spectralearth_build.pretrain.objectives.moco import MoCo, MoCoConfig
from spectralearth_build.pretrain.objectives.split_norm import SplitBatchNorm

SAME = Augmentation(scale=(1, 1), ratio=(1, 1), flip=0)


def moco(**config) -> MoCo:
    torch.manual_seed(0)
    config = {"queue": 8, "hidden": 16, "dim": 6, "batch_splits": 2, "views": SAME} | config
    return MoCo(SpectralViT(80, (24, 1, 3), 4, 8), MoCoConfig(**config))


def draw():
    return torch.Generator().manual_seed(5)


def test_keys_start_as_the_queries_and_officially_not():
    ours, official = moco(), moco(official=True)
    for made, equal in ((ours, True), (official, False)):
        pairs = zip(made.encoder.parameters(), made.key_encoder.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) is equal
        assert not any(p.requires_grad for p in made.key_encoder.parameters())
    images = torch.randn(4, 80, 8, 8)
    ours.eval()
    query = normalize(ours.head(ours.encoder(images)), dim=1)
    torch.testing.assert_close(ours._keys(images, draw()), query)


def test_the_loss_is_that_of_queries_keys_and_queue():
    made = moco().eval()
    first, second, places = torch.randn(4, 80, 8, 8), torch.randn(4, 80, 8, 8), torch.tensor([1, 2, 3, 4])
    made.queue_places[:3] = torch.tensor([2, 2, 9])
    queue, owner = made.queue.clone(), made.queue_places.clone()
    query = normalize(made.head(made.encoder(first)), dim=1)
    key = normalize(made.key_head(made.key_encoder(second)), dim=1)
    expected = info_nce(query, key, queue, 0.1, places[:, None] == owner)
    torch.testing.assert_close(made.loss(first, second, places, draw()), expected)
    torch.testing.assert_close(made.queue[:4], key)
    assert made.queue_places[:4].tolist() == [1, 2, 3, 4]


def test_the_queue_wraps():
    made = moco(queue=5, batch_splits=1).eval()
    batches = [torch.randn(2, 80, 8, 8) for _ in range(4)]
    for number, images in enumerate(batches):
        made.loss(images, images, torch.tensor([2 * number, 2 * number + 1]), draw())
    assert int(made.cursor) == 8 % 5
    assert made.queue_places.tolist() == [5, 6, 7, 3, 4]
    newest = normalize(made.key_head(made.key_encoder(batches[3])), dim=1)
    torch.testing.assert_close(made.queue[[1, 2]], newest)


def test_own_location_is_no_negative_unless_official():
    images = torch.randn(2, 80, 8, 8)
    for official in (False, True):
        made = moco(official=official, batch_splits=1).eval()
        query = normalize(made.head(made.encoder(images)), dim=1).detach()
        made.queue[:] = query[0]  # a queue of what the first query looks like
        made.queue_places[:] = 7
        loss = made.loss(images, images, torch.tensor([7, 7]), draw()).detach()
        assert (float(loss) < 1e-6) is not official  # with no negatives left there is nothing to lose


def test_parts_of_a_batch_do_not_know_each_other():
    """With plain batch normalisation a query could find its key by shared statistics."""
    for splits, apart in ((2, True), (1, False)):
        made = moco(batch_splits=splits).train()
        images = torch.randn(4, 80, 8, 8)
        before = made.encoder(images)
        changed = images.clone()
        changed[1] += 30  # samples 1 and 3 form the second part
        after = made.encoder(changed)
        assert torch.equal(before[[0, 2]], after[[0, 2]]) is apart
        assert not torch.equal(before[3], after[3])


def test_split_normalisation_equals_normalising_each_part():
    split, plain = SplitBatchNorm(3, 2), [nn.BatchNorm2d(3), nn.BatchNorm2d(3)]
    x = torch.randn(6, 3, 4, 5) * 3 + 1
    out = split(x)
    for part in range(2):
        torch.testing.assert_close(out[part::2], plain[part](x[part::2]), rtol=1e-5, atol=1e-5)
    mean = (plain[0].running_mean + plain[1].running_mean) / 2
    torch.testing.assert_close(split.running_mean, mean)
    split.eval()
    whole = nn.BatchNorm2d(3).eval()
    whole.load_state_dict(split.state_dict())
    torch.testing.assert_close(split(x), whole(x))


def test_keys_follow_in_closed_form():
    made = moco(momentum=0.9)
    start = [p.clone() for p in made.key_encoder.parameters()]
    with torch.no_grad():
        for p in made.encoder.parameters():
            p.add_(1.0)
    for _ in range(7):
        made.after_step(0.5)
    for begun, key, query in zip(
        start, made.key_encoder.parameters(), made.encoder.parameters(), strict=True
    ):
        torch.testing.assert_close(key, 0.9**7 * begun + (1 - 0.9**7) * query.detach(), rtol=1e-5, atol=1e-6)


def test_of_more_keys_than_the_queue_holds_the_last_stay():
    made = moco(queue=4)
    keys = torch.randn(6, 6)
    made._enqueue(keys, torch.arange(6))
    assert made.queue_places.tolist() == [2, 3, 4, 5]
    assert torch.equal(made.queue, keys[2:])
