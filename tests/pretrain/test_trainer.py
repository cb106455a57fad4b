import json
import resource
import shutil

import pytest
import torch

from spectralearth_build.errors import OutOfSpaceError, StoppedError, UsageError
from spectralearth_build.pretrain import checkpoint
from spectralearth_build.pretrain.log import read
from spectralearth_build.pretrain.setup import finish, prepare
from spectralearth_build.pretrain.weights import load_encoder

OBJECTIVES = ["moco", "dino", "mae", "simclr", "byol", "simsiam", "barlow", "vicreg", "swav"]


def nothing(step, total, figures):
    pass


def state(run) -> dict:
    return {k: v.clone() for k, v in run.objective.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_resumed_run_is_bit_equal(dataset, settings, tmp_path, objective):
    """Queue, centre, optimiser, random numbers and the place in the epoch included; an epoch has two batches."""
    config = settings(objective, steps=5, checkpoint_steps=100, log_steps=1)
    whole = prepare(dataset.folder, tmp_path / "whole", config)
    whole.train(nothing)
    parts = prepare(dataset.folder, tmp_path / "parts", config)
    with pytest.raises(StoppedError, match="after step 3 of 5"):
        parts.train(nothing, lambda: parts.step == 3)
    torch.manual_seed(99)
    again = prepare(dataset.folder, tmp_path / "parts", config)
    again.train(nothing)
    expected, found = state(whole), state(again)
    assert list(expected) == list(found)
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    losses = [[row["loss"] for row in read(tmp_path / name / "log.csv")] for name in ("whole", "parts")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 5


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_part_that_should_learn_does(dataset, settings, tmp_path, objective):
    run = prepare(dataset.folder, tmp_path, settings(objective, steps=2, warmup=0))
    before = state(run)
    run.train(nothing)
    after = state(run)
    still = {name for name in before if torch.equal(before[name], after[name])}
    # Nothing of the encoder stays but biases before a batch normalisation, which takes them out again.
    idle = {f"encoder.adapter.layers.{layer}.0.bias" for layer in range(3)}
    assert not {name for name in still - idle if name.startswith("encoder.")}
    if objective == "moco":
        assert int(after["cursor"]) == 4
        assert (after["queue_places"][:4] >= 0).all()


@pytest.mark.slow
def test_nothing_waits_for_the_device_between_two_lines_of_the_log(dataset, settings, tmp_path, monkeypatch):
    # AdamW reads its own counter of steps, which lies on the CPU wherever the rest is.
    config = settings("dino", steps=6, log_steps=3, checkpoint_steps=100, optimiser="sgd")
    run = prepare(dataset.folder, tmp_path, config)
    asked = []
    for name in ("item", "tolist", "__float__", "__bool__", "numpy", "cpu"):
        original = getattr(torch.Tensor, name)

        def spy(self, *args, original=original, name=name, **kwargs):
            asked.append((run.step, name))
            return original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, spy)
    run.train(nothing)
    training = {each for each in asked if each[0] not in (0, 3, 6)}  # loading, two lines of the log, the end
    assert training == set()
    assert (3, "__float__") in asked  # the spies work


def test_accumulated_gradients_are_those_of_one_batch(dataset, settings, tmp_path):
    """Without batch statistics, two batches of two samples are one of four, which are the same samples."""
    moved = []
    for batch, accumulate in ((4, 1), (2, 2)):
        config = settings(
            "mae", steps=1, batch=batch, accumulate=accumulate, optimiser="sgd", rate=1.0, warmup=0, clip=0
        )
        run = prepare(dataset.folder, tmp_path / str(batch), config)
        run.objective.forward = on_whole_images(run.objective)
        for module in run.objective.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train = lambda mode=True, module=module: module
                module.training = False
        before = state(run)
        run.train(nothing)
        moved.append({k: v - before[k] for k, v in state(run).items() if v.is_floating_point()})
    assert any(value.abs().max() > 0 for value in moved[0].values())
    for name, value in moved[0].items():
        torch.testing.assert_close(moved[1][name], value, rtol=1e-3, atol=1e-5)


def on_whole_images(objective):
    """A loss without chance: every eighth pixel, and the same patches hidden in every image."""

    def loss(series, places, draw):
        image = series[:, 0, :, ::8, ::8]
        visible = torch.tensor([[0, 3]]).expand(len(image), -1)
        return objective.loss_of(image, visible, torch.tensor([[1, 2]]).expand(len(image), -1))

    return loss


@pytest.mark.parametrize(("objective", "pool"), [("mae", "mean"), ("dino", "token")])
def test_the_encoder_of_mae_gives_the_mean_of_its_patches(dataset, settings, tmp_path, objective, pool):
    run = prepare(dataset.folder, tmp_path, settings(objective, steps=1))
    assert run.objective.encoder.pool == pool
    assert load_encoder(finish(run)).encoder.pool == pool


def test_other_settings_are_refused_with_what_changed(dataset, settings, tmp_path):
    prepare(dataset.folder, tmp_path, settings("mae"))
    with pytest.raises(UsageError, match=r"train.seed: was 0, is 7\n.*give a new folder"):
        prepare(dataset.folder, tmp_path, settings("mae", seed=7))
    prepare(dataset.folder, tmp_path, settings("mae", log_steps=1))  # changes nothing in the result


def test_a_dataset_smaller_than_a_batch_is_refused(dataset, settings, tmp_path):
    with pytest.raises(UsageError, match="fewer samples than one batch of 64"):
        prepare(dataset.folder, tmp_path, settings("mae", batch=64, steps=0))


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.slow
@pytest.mark.parametrize("torn", [checkpoint.NETWORKS, checkpoint.STATE])
def test_a_torn_checkpoint_costs_only_itself(dataset, settings, tmp_path, torn, capsys):
    config = settings("mae", steps=3, checkpoint_steps=1)
    whole = prepare(dataset.folder, tmp_path, config)
    whole.train(nothing)
    before, last = checkpoint.found(tmp_path / "checkpoints")
    cut(last / torn)
    again = prepare(dataset.folder, tmp_path, config)
    again.train(nothing)
    assert f"{last.name} is damaged: continuing from {before.name}" in capsys.readouterr().out
    expected, found = state(whole), state(again)
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []
    prepare(dataset.folder, tmp_path, config).resume()  # the torn one has been replaced
    assert "is damaged" not in capsys.readouterr().out


def test_torn_checkpoints_alone_are_refused(dataset, settings, tmp_path):
    run = prepare(dataset.folder, tmp_path, settings("mae", steps=2, checkpoint_steps=1))
    run.train(nothing)
    first, last = checkpoint.found(tmp_path / "checkpoints")
    cut(first / checkpoint.NETWORKS)
    (last / checkpoint.STATE).unlink()
    with pytest.raises(UsageError, match=r"No checkpoint can be read .step-000000002: .*Delete them"):
        prepare(dataset.folder, tmp_path, settings("mae", steps=2, checkpoint_steps=1)).train(nothing)


def test_a_foreign_checkpoint_is_refused(dataset, settings, tmp_path):
    prepare(dataset.folder, tmp_path / "other", settings("moco", steps=1)).train(nothing)
    run = prepare(dataset.folder, tmp_path, settings("mae", steps=2))
    shutil.copytree(tmp_path / "other" / "checkpoints", tmp_path / "checkpoints")
    with pytest.raises(UsageError, match="does not fit"):
        run.train(nothing)


@pytest.fixture
def small_files():
    """A function that limits the size of the files that this process may write; 0: not at all."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size or before[0], before[1]))

    yield limit
    limit(0)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.98])
def test_no_room_for_a_checkpoint(dataset, settings, tmp_path, small_files, share):
    """Safetensors and torch have errors of their own for this, and torch's does not say why."""
    config = settings("mae", steps=3, checkpoint_steps=1)
    whole = prepare(dataset.folder, tmp_path / "whole", config)
    whole.train(nothing)
    (*_, last) = checkpoint.found(tmp_path / "whole" / "checkpoints")
    size = sorted((last / name).stat().st_size for name in (checkpoint.NETWORKS, checkpoint.STATE))
    run = prepare(dataset.folder, tmp_path / "run", config)
    with pytest.raises(StoppedError):
        run.train(nothing, lambda: run.step == 1)
    small_files(int(share * size[0]) if share < 0.5 else int(share * size[1]))
    with pytest.raises(OutOfSpaceError, match="step-000000002"):
        prepare(dataset.folder, tmp_path / "run", config).train(nothing)
    small_files(0)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000000001"]
    again = prepare(dataset.folder, tmp_path / "run", config)
    again.train(nothing)
    expected, found = state(whole), state(again)
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.mark.slow
def test_checkpoints_appear_whole_and_the_newest_two_stay(dataset, settings, tmp_path):
    run = prepare(dataset.folder, tmp_path, settings("mae", steps=6, checkpoint_steps=2))
    run.train(nothing)
    assert [path.name for path in checkpoint.found(tmp_path / "checkpoints")] == [
        "step-000000004",
        "step-000000006",
    ]
    partial = tmp_path / "checkpoints" / "step-000000008.partial"
    partial.mkdir()
    assert checkpoint.found(tmp_path / "checkpoints")[-1].name == "step-000000006"


def test_state_holds_no_code(dataset, settings, tmp_path):
    run = prepare(dataset.folder, tmp_path, settings("moco", steps=2))
    run.train(nothing)
    path = checkpoint.found(tmp_path / "checkpoints")[-1] / checkpoint.STATE
    kept = torch.load(path, weights_only=True)  # refuses anything but data
    assert set(kept) == {"step", "loader", "optimiser", "random"}


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["moco", "mae"])
def test_the_encoder_of_a_run_can_be_used_alone(dataset, settings, tmp_path, objective):
    run = prepare(dataset.folder, tmp_path, settings(objective, steps=2))
    run.train(nothing)
    path = finish(run)
    counts = torch.from_numpy(next(iter(dataset.pixels.values())))[None]
    encoder = load_encoder(path)
    run.objective.eval()
    with torch.inference_mode():
        expected = run.objective.encoder(run.standardise(counts))
        torch.testing.assert_close(encoder(counts), expected)
    assert encoder.spectra == run.spectra
    document = json.loads((tmp_path / "settings.json").read_text())
    assert document["objective"] == objective
