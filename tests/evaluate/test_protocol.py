import pytest
import torch

from spectralearth_build.evaluate.heads import make_head
from spectralearth_build.evaluate.protocol import Model, digest, encoder_of
from spectralearth_build.evaluate.scoring import loss_of
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.pretrain.encoders import Architecture, build, make
from spectralearth_build.pretrain.spectra import Spectra, WavelengthError
from spectralearth_build.pretrain.training_config import EncoderConfig
from spectralearth_build.pretrain.weights import CountsEncoder, save_encoder

BANDS = 80
SPECTRA = Spectra(tuple(400.0 + 10 * k for k in range(BANDS)), (1000.0,) * BANDS, (300.0,) * BANDS)


def model(protocol, name="resnet18", head="linear"):
    torch.manual_seed(0)
    encoder = CountsEncoder(make(name, BANDS, 16, 32), SPECTRA)
    return Model(encoder, make_head(head, encoder.encoder, 5), protocol)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def trained(protocol, name="resnet18"):
    """A model, and its encoder before two steps of training."""
    made = model(protocol, name)
    before = state(made.encoder)
    descent = torch.optim.SGD([value for value in made.parameters() if value.requires_grad], 0.1)
    for _ in range(2):
        made.train()
        counts = torch.randint(0, 4000, (4, BANDS, 32, 32), dtype=torch.int16)
        loss_of(made(counts, 32), torch.tensor([0, 1, 2, 3]), "single").backward()
        descent.step()
        descent.zero_grad()
    return made, before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "name"),
    [
        ("frozen", "vit_s"),
        ("adapter", "resnet18"),
        ("adapter", "vit_s"),
        ("finetune", "vit_s"),
        ("scratch", "resnet18"),
    ],
)
def test_only_what_the_protocol_trains_changes(protocol, name):
    made, before = trained(protocol, name)
    after = made.encoder.state_dict()
    same = {key for key, value in before.items() if torch.equal(value, after[key])}
    adapter = {key for key in before if key.startswith("adapter.")}
    if protocol == "frozen":
        assert same == set(before)
    elif protocol == "adapter":
        assert same == set(before) - adapter
    else:
        assert not same - {key for key in before if not before[key].is_floating_point()}


@pytest.mark.slow
def test_frozen_is_bit_equal_and_finetuned_is_not():
    """Whatever mode the module around it is put into; statistics of batch normalisation included."""
    made = model("frozen")
    before = digest(made.encoder)
    made, _ = trained("frozen")
    assert digest(made.encoder) == before
    assert made.head.training
    assert digest(trained("finetune")[0].encoder) != before


def test_the_digest_sees_one_bit_of_a_statistic():
    encoder = model("frozen").encoder
    before = digest(encoder)
    mean = encoder.adapter.layers[0][1].running_mean
    mean.view(torch.int32)[3] ^= 1
    assert digest(encoder) != before
    mean.view(torch.int32)[3] ^= 1
    assert digest(encoder) == before


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vit_s", "swin_t"])
def test_counts_of_trained_parameters(name):
    with torch.device("meta"):
        encoder = make(name, 202)
    whole = sum(value.numel() for value in encoder.parameters())
    expected = {"frozen": 0, "adapter": 56_192, "finetune": whole, "scratch": whole}
    spectra = Spectra((1.0,) * 202, (0.0,) * 202, (1.0,) * 202)
    for protocol, count in expected.items():
        made = Model(CountsEncoder(encoder, spectra), make_head("linear", encoder, 19), protocol)
        assert made.trainable() == (count + (encoder.dim + 1) * 19, count)


@pytest.mark.slow
def test_scratch_takes_the_network_of_a_file_and_new_weights(tmp_path):
    architecture = Architecture("resnet18", BANDS, patch=4, image=32)
    torch.manual_seed(1)
    kept = build(architecture)
    save_encoder(tmp_path / "e.safetensors", kept, architecture, SPECTRA, {})
    network = EncoderConfig(name="vit_s", patch=16)
    found = {}
    for protocol in ("frozen", "scratch"):
        config = EvaluateConfig(labels="a", task="single", protocol=protocol, size=32, encoder=network)
        torch.manual_seed(2)
        found[protocol] = encoder_of(tmp_path / "e.safetensors", config, SPECTRA, "dataset").encoder
    assert digest(found["frozen"]) == digest(kept)
    assert type(found["scratch"]) is type(kept)
    assert digest(found["scratch"]) != digest(kept)
    new = encoder_of(None, config, SPECTRA, "dataset").encoder
    assert (new.patch, new.grid) == (16, 2)


@pytest.mark.parametrize("protocol", ["frozen", "scratch"])
def test_other_bands_are_refused_by_name(tmp_path, protocol):
    architecture = Architecture("resnet18", BANDS, patch=4, image=32)
    save_encoder(tmp_path / "e.safetensors", build(architecture), architecture, SPECTRA, {})
    nm = list(SPECTRA.wavelength_nm)
    nm[7] += 5
    other = Spectra(tuple(nm), SPECTRA.mean, SPECTRA.std)
    with pytest.raises(WavelengthError, match=r"dataset: band 7: 475\.0 nm instead of 470\.0 nm"):
        encoder_of(
            tmp_path / "e.safetensors",
            EvaluateConfig(labels="a", task="single", protocol=protocol),
            other,
            "dataset",
        )
