import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.embed import write_embeddings
from spectralearth_build.pretrain.encoders import Architecture, build
from spectralearth_build.pretrain.export import export_onnx, export_program
from spectralearth_build.pretrain.setup import spectra_of
from spectralearth_build.pretrain.spectra import WavelengthError
from spectralearth_build.pretrain.weights import architecture_of, load_encoder, save_encoder


@pytest.fixture(scope="module")
def saved(dataset, tmp_path_factory):
    torch.manual_seed(0)
    architecture = Architecture("vit_s", 202, patch=32, image=128)
    encoder = build(architecture).eval()
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_encoder(path, encoder, architecture, spectra_of(dataset.folder), {"objective": "mae"})
    return path


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="cannot be read"):
        load_encoder(tmp_path / "text")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(UsageError, match="Not an encoder of this package"):
        load_encoder(tmp_path / "foreign")
    with pytest.raises(UsageError, match="cannot be read"):
        load_encoder(tmp_path / "absent")


@pytest.mark.slow
def test_embeddings_of_a_dataset(dataset, saved, tmp_path):
    encoder = load_encoder(saved)
    count = write_embeddings(dataset.folder, encoder, tmp_path / "out.parquet", batch=4)
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert count == len(table) == len(dataset.pixels)
    assert set(table["patch_id"]) == set(dataset.pixels)
    for row in table.itertuples():
        assert row.patch_id.startswith(row.location_id)
        with torch.inference_mode():
            expected = encoder(torch.from_numpy(dataset.pixels[row.patch_id])[None])[0].numpy()
        np.testing.assert_allclose(row.vector, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_data_with_other_bands_are_refused(dataset, saved, tmp_path):
    document = json.loads((dataset.folder / "statistics.json").read_text())
    document["wavelength_nm"][7] += 11
    other = tmp_path / "other"
    other.mkdir()
    for path in dataset.folder.iterdir():
        (other / path.name).symlink_to(path)
    (other / "statistics.json").unlink()
    (other / "statistics.json").write_text(json.dumps(document))
    with pytest.raises(WavelengthError, match="band 7"):
        write_embeddings(other, load_encoder(saved), tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.slow
def test_a_torch_program_agrees(dataset, saved, tmp_path):
    encoder = load_encoder(saved)
    export_program(encoder, tmp_path / "encoder.pt2")
    extra = {"spectra.json": ""}
    program = torch.export.load(tmp_path / "encoder.pt2", extra_files=extra).module()
    counts = torch.from_numpy(np.stack(list(dataset.pixels.values())[:3]))
    with torch.inference_mode():
        torch.testing.assert_close(program(counts), encoder(counts), rtol=1e-4, atol=1e-4)
    assert json.loads(extra["spectra.json"])["wavelength_nm"] == list(encoder.spectra.wavelength_nm)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of onnxscript and torch.onnx about themselves
def test_onnx_agrees_in_onnxruntime(dataset, saved, tmp_path):
    import onnxruntime

    encoder = load_encoder(saved)
    export_onnx(encoder, tmp_path / "encoder.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx", providers=["CPUExecutionProvider"])
    counts = np.stack(list(dataset.pixels.values())[:3])
    (vectors,) = session.run(["vectors"], {"counts": counts})
    with torch.inference_mode():
        np.testing.assert_allclose(vectors, encoder(torch.from_numpy(counts)).numpy(), rtol=1e-3, atol=1e-3)
    assert "wavelength_nm" in session.get_modelmeta().custom_metadata_map["spectra"]


def test_the_architecture_of_a_file_and_of_earlier_files(saved):
    document = {"name": "vit_s", "bands": 202, "patch": 32, "image": 128, "pool": "token"}
    assert architecture_of(saved).document() == document
    del document["pool"]  # of a time when there was no choice
    assert Architecture.from_document(document) == architecture_of(saved)
