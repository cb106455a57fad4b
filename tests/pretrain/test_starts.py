"""A start that is refused leaves nothing; files of another run, split or encoder are not overwritten."""

import json

import pandas as pd
import pytest

from spectralearth_build.dataset.seen import SeenPatches
from spectralearth_build.errors import UsageError
from spectralearth_build.pretrain.embed import write_embeddings
from spectralearth_build.pretrain.setup import finish, prepare
from spectralearth_build.pretrain.weights import load_encoder, seen_by


def with_setting(config, section, **values):
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})


def test_a_start_that_is_refused_leaves_nothing(dataset, settings, tmp_path):
    folder, sound = tmp_path / "run", settings("simclr", steps=1)
    for config, words in (
        (with_setting(sound, "data", split="train"), "no splits"),
        (with_setting(sound, "data", min_dates=99), "No patch|no patch"),
        (with_setting(sound, "data", labels=str(tmp_path / "absent")), "absent"),
        (with_setting(sound, "train", batch=4000), "fewer samples than one batch"),
        (with_setting(sound, "encoder", name="none"), "none"),
    ):
        with pytest.raises(UsageError, match=words):
            prepare(dataset.folder, folder, config)
        assert not folder.exists()
    with pytest.raises(UsageError):
        prepare(tmp_path / "nowhere", folder, sound)
    assert not folder.exists()
    prepare(dataset.folder, folder, sound)
    assert [path.name for path in folder.iterdir()] == ["settings.json"]
    with pytest.raises(UsageError, match="other settings"):
        prepare(dataset.folder, folder, settings("simclr", steps=2))


@pytest.mark.parametrize("name", ["encoder.safetensors", "manifest.json"])
def test_a_run_does_not_begin_where_other_work_lies(dataset, settings, tmp_path, name):
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(UsageError, match="Give a new folder"):
        prepare(dataset.folder, tmp_path, settings("simclr", steps=1))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.slow
def test_vectors_of_another_split_or_encoder_are_not_overwritten(dataset, settings, tmp_path):
    encoders = [load_encoder(finish(prepare(dataset.folder, tmp_path / k, settings("simclr", seed=int(k)))))
                for k in "12"]  # fmt: skip
    locations = pd.read_parquet(dataset.folder / "locations.parquet")["location_id"]
    other = tmp_path / "d"
    other.mkdir()
    for path in dataset.folder.iterdir():
        (other / path.name).symlink_to(path)
    parts = ["train" if k else "val" for k in range(len(locations))]
    pd.DataFrame({"location_id": locations, "split": parts}).to_parquet(other / "splits.parquet")
    output = tmp_path / "vectors.parquet"
    train = write_embeddings(other, encoders[0], output, batch=4, split="train")
    before = output.read_bytes()
    for encoder, split, words in (
        (encoders[0], "val", "split 'train'"),
        (encoders[0], None, "split 'train'"),
        (encoders[1], "train", "encoder "),
    ):
        with pytest.raises(UsageError, match=words):
            write_embeddings(other, encoder, output, batch=4, split=split)
        assert output.read_bytes() == before
    assert write_embeddings(other, encoders[0], output, batch=4, split="train") == train
    assert output.read_bytes() == before
    output.write_text("notes")
    with pytest.raises(UsageError, match="belongs to something else"):
        write_embeddings(other, encoders[0], output, batch=4, split="train")
    assert output.read_text() == "notes"


def test_views_that_the_encoder_cannot_cut_are_refused(dataset, settings, tmp_path):
    sound = settings("dino")
    words = {"views": "multiple of the patch size, got 20 and 8", "local": "Type --set dino.local.size=16"}
    for section, size in (("views", 20), ("local", 12)):  # the ViT has patches of 8 pixels
        views = getattr(sound.dino, section).changed(size=size)
        with pytest.raises(UsageError, match=words[section]):
            prepare(dataset.folder, tmp_path / "run", with_setting(sound, "dino", **{section: views}))
    assert not (tmp_path / "run").exists()
    unused = sound.dino.local.changed(size=12)
    prepare(dataset.folder, tmp_path / "run", with_setting(sound, "dino", local=unused, local_crops=0))


def with_splits(dataset, folder, name):
    """A copy of the dataset whose parts are called as ``name`` says, of the number of a location."""
    folder.mkdir()
    for path in dataset.folder.iterdir():
        (folder / path.name).symlink_to(path)
    places = pd.read_parquet(dataset.folder / "locations.parquet")["location_id"]
    splits = pd.DataFrame({"location_id": places, "split": [name(k) for k in range(len(places))]})
    splits.to_parquet(folder / "splits.parquet")
    return folder, splits


def places(run):
    return set(run.loader.samples.patches["location_id"])


def test_a_run_reads_train_if_there_are_splits_and_its_encoder_says_what_it_saw(
    dataset, settings, tmp_path, capsys
):
    split, splits = with_splits(dataset, tmp_path / "d", lambda k: "val" if k == 1 else "train")
    train = set(splits.loc[splits["split"] == "train", "location_id"])
    automatic = with_setting(settings("simclr"), "data", split="auto")
    run = prepare(split, tmp_path / "train", automatic)
    assert places(run) == train
    assert "of the split train" in capsys.readouterr().out
    seen = SeenPatches.from_document(seen_by(finish(run)))
    assert (seen.split, seen.patches) == ("train", len(run.loader.samples.patches))
    everywhere = splits["location_id"].tolist()
    assert seen.share_ground(everywhere).tolist() == [place in train for place in everywhere]

    run = prepare(split, tmp_path / "all", with_setting(settings("simclr"), "data", split=""))
    assert places(run) == set(everywhere)
    assert SeenPatches.from_document(seen_by(finish(run))).split == ""


def test_a_run_that_began_without_splits_goes_on_with_all_patches(dataset, settings, tmp_path):
    automatic = with_setting(settings("simclr"), "data", split="auto")
    before = places(prepare(dataset.folder, tmp_path / "run", automatic))
    split, splits = with_splits(dataset, tmp_path / "d", lambda k: "val" if k == 1 else "train")
    assert places(prepare(split, tmp_path / "run", automatic)) == before == set(splits["location_id"])


def test_splits_without_train_are_not_guessed(dataset, settings, tmp_path):
    split, _ = with_splits(dataset, tmp_path / "d", lambda k: "fold1" if k == 1 else "fold2")
    automatic = with_setting(settings("simclr"), "data", split="auto")
    with pytest.raises(UsageError, match=r"fold1, fold2.*data\.split=NAME"):
        prepare(split, tmp_path / "run", automatic)
    assert not (tmp_path / "run").exists()


def test_a_run_of_an_earlier_version_goes_on_as_it_began(dataset, settings, tmp_path):
    """Its settings know nothing of those that came later."""
    sound = settings("dino")
    prepare(dataset.folder, tmp_path / "run", sound)
    file = tmp_path / "run" / "settings.json"
    document = json.loads(file.read_text())
    for section, keys in (("train", ("rate_scaling", "schedule", "decay")), ("encoder", ("positions",)),
                          ("dino", ("export",))):  # fmt: skip
        for key in keys:
            del document[section][key]
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"(?s)dino.export: was .student.*train.rate_scaling: was .none"):
        prepare(dataset.folder, tmp_path / "run", sound)
    before = with_setting(with_setting(sound, "dino", export="student"), "train", rate_scaling="none")
    prepare(dataset.folder, tmp_path / "run", before)


def test_a_batch_normalisation_needs_two_values(dataset, settings, tmp_path):
    cases = [
        ("simclr", {"name": "resnet18"}, True),  # views of 16 pixels become one
        ("simclr", {"name": "vit_s", "patch": 8}, False),
        ("byol", {"name": "vit_s", "patch": 8}, True),  # the head
        ("vicreg", {"name": "vit_s", "patch": 8}, True),
        ("dino", {"name": "resnet18"}, True),
    ]
    for number, (objective, encoder, refused) in enumerate(cases):
        config = with_setting(settings(objective, batch=1, steps=1), "encoder", **encoder)
        folder = tmp_path / str(number)
        if refused:
            with pytest.raises(UsageError, match=r"Raise train\.batch"):
                prepare(dataset.folder, folder, config)
            assert not folder.exists()
        else:
            prepare(dataset.folder, folder, config).train(lambda *_: None)
    for objective in ("simclr", "dino"):  # local views of 8 pixels become one, too
        config = with_setting(settings(objective, batch=2, steps=1), "encoder", name="resnet18")
        prepare(dataset.folder, tmp_path / objective, config).train(lambda *_: None)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"data": 1, "encoder": {}, "train": {}}', "\xff"])
def test_settings_of_something_else_are_refused_and_kept(dataset, settings, tmp_path, text):
    file = tmp_path / "settings.json"
    file.write_text(text, encoding="latin-1")
    for split in ("", "auto"):
        with pytest.raises(UsageError, match="no settings of a run"):
            prepare(dataset.folder, tmp_path, with_setting(settings("simclr"), "data", split=split))
    assert file.read_text(encoding="latin-1") == text
    assert list(tmp_path.iterdir()) == [file]
