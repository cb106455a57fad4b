"""Weights of SpectralEarth in and out, against networks of its architecture with random weights."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spectralearth_build.api.weights import export_encoder
from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.encoders.vit import SIZES
from spectralearth_build.pretrain.published.conversion import architecture_from, from_encoder, to_encoder
from spectralearth_build.pretrain.published.exporting import export_weights
from spectralearth_build.pretrain.published.importing import import_weights
from spectralearth_build.pretrain.published.layouts import network_in
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.weights import header_of, load_encoder, save_encoder
from tests.support import published_networks as published

HERE = Path("file.pth")


def encoder_from(network, bands=202):
    _, _, tensors = network_in(network.state_dict(), "", HERE)
    architecture = architecture_from(tensors, bands, HERE)
    return architecture, to_encoder(tensors, architecture, HERE).eval()


@pytest.fixture
def tiny(monkeypatch):
    """A ViT of size s that is small enough to be written many times."""
    monkeypatch.setitem(SIZES, "s", (24, 2, 3))
    return published.shaken(published.SpecVisionTransformer(32, 8, 24, 2, 3))


@pytest.fixture
def spectra(dataset):
    return spectra_of(dataset.folder)


@pytest.fixture
def saved(tiny, tmp_path):
    torch.save(tiny.state_dict(), tmp_path / "vit.pth")
    return tmp_path / "vit.pth"


# --- equal numbers --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("patch", "image"), [(4, 32), (16, 64)])
def test_a_vit_gives_the_same_vectors_at_its_own_and_other_sizes(patch, image):
    theirs = published.shaken(published.SpecVisionTransformer(image, patch, classes=7))
    architecture, ours = encoder_from(theirs)
    assert architecture == Architecture("vit_s", 202, patch=patch, image=image, pool="token")
    theirs.vit_core.head = torch.nn.Identity()
    for size in ((image, image), (32, 48)):
        x = torch.randn(2, 202, *size)
        with torch.inference_mode():
            torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=5e-6)
            tokens = theirs.vit_core.tokens(theirs.spectral_adapter(x))
            torch.testing.assert_close(ours.tokens(x), tokens, rtol=1e-5, atol=5e-6)


@pytest.mark.slow
def test_a_resnet_gives_the_same_vectors_and_dense_maps():
    theirs = published.shaken(published.SpecResNet50(classes=3))
    architecture, ours = encoder_from(theirs, bands=80)
    assert architecture == Architecture("resnet50", 80)
    theirs.resnet.fc = torch.nn.Identity()
    dense, theirs_dense = build(architecture, dense=True).eval(), published.SpecResNet50(dilated=True).eval()
    dense.load_state_dict(ours.state_dict())
    theirs_dense.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 80, 32, 16)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
        maps = theirs_dense.resnet.maps(theirs_dense.spectral_adapter(x))
        torch.testing.assert_close(dense.features(x), maps, rtol=1e-5, atol=1e-6)


def test_stored_values_are_standardised_as_theirs(tiny, saved, spectra, dataset, tmp_path):
    import_weights(saved, tmp_path / "out.safetensors", spectra)
    counts = torch.from_numpy(next(iter(dataset.pixels.values()))[None, :, :32, :32])
    mean, std = (torch.tensor(values)[:, None, None] for values in (spectra.mean, spectra.std))
    with torch.inference_mode():
        expected = tiny((counts - mean) / std)
        torch.testing.assert_close(
            load_encoder(tmp_path / "out.safetensors")(counts), expected, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_read_from_shapes(size):
    architecture = Architecture(f"vit_{size}", 202, patch=8, image=64)
    with torch.device("meta"):
        tensors = from_encoder(build(architecture))
    assert architecture_from(tensors, 202, HERE) == architecture


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["spectral_earth", "timm"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_round_trip_keeps_every_bit(names, suffix, tiny, saved, spectra, tmp_path):
    first, exported, again = (tmp_path / name for name in ("a.safetensors", f"e{suffix}", "b.safetensors"))
    import_weights(saved, first, spectra)
    written = export_weights(load_encoder(first), exported, names)
    import_weights(exported, again, spectra)
    before, after = load_file(first), load_file(again)
    assert before.keys() == after.keys() == load_encoder(first).encoder.state_dict().keys()
    assert all(
        torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before
    )
    tensors = torch.load(exported, weights_only=True) if suffix == ".pth" else load_file(exported)
    if names == "timm":
        tensors = {
            name if "adapter" in name else f"vit_core.{name}": value for name, value in tensors.items()
        }
    other = published.SpecVisionTransformer(32, 8, 24, 2, 3)
    other.load_state_dict(tensors, strict=True)
    assert all(torch.equal(value, tiny.state_dict()[name]) for name, value in other.state_dict().items())
    assert [path.name for path in written] == [exported.name, "e.mu.npy", "e.sigma.npy"]
    mean = np.load(tmp_path / "e.mu.npy")
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, np.array(spectra.mean, np.float32))


def test_an_export_has_the_same_bytes_each_time(saved, spectra, tmp_path):
    import_weights(saved, tmp_path / "a.safetensors", spectra)
    for name in ("x.pth", "y.pth"):
        export_weights(load_encoder(tmp_path / "a.safetensors"), tmp_path / name, "spectral_earth")
    assert (tmp_path / "x.pth").read_bytes() == (tmp_path / "y.pth").read_bytes()


def test_an_export_does_not_replace_an_encoder(saved, spectra, tmp_path):
    encoder = tmp_path / "a.safetensors"
    import_weights(saved, encoder, spectra)
    before = encoder.read_bytes()
    with pytest.raises(UsageError, match="Choose another name"):
        export_encoder(encoder, encoder, names="timm")
    assert encoder.read_bytes() == before
    assert not (tmp_path / "a.mu.npy").exists()


@pytest.mark.slow
def test_a_resnet18_goes_out_under_timms_names_only(spectra, tmp_path):
    architecture = Architecture("resnet18", 202)
    save_encoder(tmp_path / "a", published.shaken(build(architecture)), architecture, spectra, {})
    loaded = load_encoder(tmp_path / "a")
    export_weights(loaded, tmp_path / "e.pth", "timm")
    import_weights(tmp_path / "e.pth", tmp_path / "b.safetensors", spectra)
    back = load_encoder(tmp_path / "b.safetensors").encoder.state_dict()
    assert all(torch.equal(value, back[name]) for name, value in loaded.encoder.state_dict().items())
    with pytest.raises(UsageError, match="no names for this network in spectral_earth"):
        export_weights(loaded, tmp_path / "f.pth", "spectral_earth")
    swin = Architecture("swin_t", 202)
    save_encoder(tmp_path / "c", build(swin), swin, spectra, {})
    with pytest.raises(UsageError, match="no names for this network in timm"):
        export_weights(load_encoder(tmp_path / "c"), tmp_path / "f.pth", "timm")
    assert not list(tmp_path.glob("f.*"))


@pytest.mark.parametrize(
    ("make", "network", "seed", "about"),
    [
        (published.of_moco, "", 0, ("moco", "query")),
        (published.of_moco, "key", 1, ("moco", "key")),
        (published.of_dino, "", 1, ("dino", "teacher")),
        (published.of_dino, "student", 0, ("dino", "student")),
        (lambda first, _: published.of_mae(first), "", 0, ("mae", "encoder")),
    ],
)
def test_checkpoints_of_lightning(make, network, seed, about, tiny, spectra, tmp_path):
    other = published.shaken(published.SpecVisionTransformer(32, 8, 24, 2, 3), seed=1)
    expected = encoder_from((tiny, other)[seed])[1].state_dict()
    checkpoint = {"epoch": 99, "state_dict": make(tiny, other), "optimizer_states": [{"step": 1.0}]}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    found = import_weights(tmp_path / "last.ckpt", tmp_path / "out.safetensors", spectra, network)
    assert (found.about["objective"], found.about["network"]) == about
    state = load_encoder(tmp_path / "out.safetensors").encoder.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in expected.items())


def test_names_of_one_tensor_must_agree(tiny, spectra, tmp_path):
    state = published.of_mae(tiny)
    state["encoder.vit.blocks.1.norm1.weight"] = state["encoder.vit.blocks.1.norm1.weight"] + 1
    torch.save(state, tmp_path / "last.ckpt")
    with pytest.raises(UsageError, match=r"different values:\n  .*vit_core\.blocks\.1\.norm1\.weight"):
        import_weights(tmp_path / "last.ckpt", tmp_path / "out.safetensors", spectra)


def test_the_same_import_may_be_repeated_and_another_file_stays(saved, spectra, tmp_path):
    out = tmp_path / "out.safetensors"
    import_weights(saved, out, spectra)
    before = out.read_bytes()
    import_weights(saved, out, spectra)
    assert out.read_bytes() == before
    assert header_of(out)["about"]["imported"]["file"] == "vit.pth"
    torch.save(published.shaken(published.SpecVisionTransformer(32, 8, 24, 2, 3), 5).state_dict(), saved)
    with pytest.raises(UsageError, match="already exists and is another encoder"):
        import_weights(saved, out, spectra)
    assert out.read_bytes() == before
    with pytest.raises(UsageError, match="already exists and is something else"):
        import_weights(saved, saved, spectra)
    with pytest.raises(UsageError, match="encoder of this package already"):
        import_weights(out, tmp_path / "b.safetensors", spectra)


# --- refusals ---------------------------------------------------------------------------------------------


def changed(state, change):
    state = dict(state)
    change(state)
    return state


REFUSED = {
    "missing": (lambda s: s.pop("vit_core.blocks.1.mlp.fc2.bias"), r"missing:\n  vit_core\.blocks\.1\.mlp\.fc2\.bias"),
    "no positions": (lambda s: s.pop("vit_core.pos_embed"), r"lacks:\n  vit_core\.pos_embed"),
    "left over": (
        lambda s: s.update({"vit_core.fc_norm.bias": torch.ones(24)}),
        r"unknown:\n  vit_core\.fc_norm\.bias",
    ),
    "shape": (
        lambda s: s.update({"vit_core.norm.weight": torch.ones(25)}),
        r"vit_core\.norm\.weight float32 \[25\] instead of float32 \[24\]",
    ),
    "type": (
        lambda s: s.update({"spectral_adapter.1.num_batches_tracked": torch.tensor(3.0)}),
        r"num_batches_tracked float32 \[\] instead of int64",
    ),
    "channels": (lambda s: s.update({"spectral_adapter.6.bias": torch.ones(64)}), r"spectral_adapter\.6\.bias"),
    "width": (lambda s: s.update({"vit_core.pos_embed": torch.ones(1, 17, 25)}), "no ViT of width 25 with 2 blocks"),
    "not square": (lambda s: s.update({"vit_core.pos_embed": torch.ones(1, 9, 24)}), "not those of a ViT for square"),
    "no adapter": (lambda s: s.pop("spectral_adapter.0.weight"), "No network of SpectralEarth was found"),
    "NaN": (lambda s: s["vit_core.norm.weight"].__setitem__(3, float("nan")), r"vit_core\.norm\.weight: NaN"),
    "object": (lambda s: s.update({"epoch": 3}), "epoch: int"),
    "repeated": (
        lambda s: s.update({"vit_core.pos_embed": torch.ones(1, 1, 24).expand(1, 1 + 10**8, 24)}),
        "pos_embed: a tensor without values of its own",
    ),
    "double": (lambda s: s.update({"vit_core.norm.bias": torch.ones(24).double()}), r"vit_core\.norm\.bias: float64"),
    "nothing": (lambda s: s.clear(), "not an empty dict"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_do_not_match_are_refused_by_name(case, tiny, spectra, tmp_path):
    change, message = REFUSED[case]
    torch.save(changed(tiny.state_dict(), change), tmp_path / "vit.pth")
    with pytest.raises(UsageError, match=message) as caught:
        import_weights(tmp_path / "vit.pth", tmp_path / "out.safetensors", spectra)
    assert "vit.pth" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["vit.pth"]


def test_a_network_of_another_kind_lists_only_a_few_names(tiny, spectra, tmp_path):
    torch.save({f"layer{i}.weight": torch.ones(1) for i in range(50)}, tmp_path / "vit.pth")
    with pytest.raises(UsageError, match="and 42 more"):
        import_weights(tmp_path / "vit.pth", tmp_path / "out.safetensors", spectra)
    torch.save(published.of_moco(tiny, tiny) | {"sampler.rows": torch.ones(1)}, tmp_path / "vit.pth")
    with pytest.raises(UsageError, match=r"checkpoint of moco has no such tensors:\n  sampler\.rows"):
        import_weights(tmp_path / "vit.pth", tmp_path / "out.safetensors", spectra)
    torch.save(published.of_dino(tiny, tiny), tmp_path / "vit.pth")
    with pytest.raises(UsageError, match="no network 'best'; it has teacher and student"):
        import_weights(tmp_path / "vit.pth", tmp_path / "out.safetensors", spectra, "best")


class Code:
    """Something whose unpickling would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_file_is_not_run(protocol, tiny, spectra, tmp_path):
    content = {"state_dict": tiny.state_dict(), "callbacks": Code(tmp_path / "made")}
    torch.save(content, tmp_path / "vit.pth", pickle_protocol=protocol)
    with pytest.raises(
        UsageError, match=r"Python objects or code \(\w+\.mkdir\), which are never loaded|never run"
    ):
        import_weights(tmp_path / "vit.pth", tmp_path / "out.safetensors", spectra)
    (tmp_path / "vit.pth").write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(UsageError, match=r"never loaded|never run"):
        import_weights(tmp_path / "vit.pth", tmp_path / "out.safetensors", spectra)
    assert [path.name for path in tmp_path.iterdir()] == ["vit.pth"]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_files_are_refused_with_words(suffix, tiny, spectra, tmp_path):
    path, out = tmp_path / f"vit{suffix}", tmp_path / "out.safetensors"
    torch.save(tiny.state_dict(), path) if suffix == ".pth" else save_file(tiny.state_dict(), path)
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    for cut in (0, 1, 9, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(UsageError, match=r"damaged|Weights by name"):
            import_weights(path, out, spectra)
    for _ in range(20):  # headers lie at the begin of one format and at the end of the other
        data = bytearray(whole)
        for place in draw.integers(0, 2000, 3):
            data[place] = data[-1 - place] = draw.integers(256)
        path.write_bytes(data)
        try:
            import_weights(path, out, spectra)
        except UsageError:
            assert not out.exists()
        out.unlink(missing_ok=True)
