import tomllib

import pytest

from spectralearth_build import settings
from spectralearth_build.errors import ConfigError
from spectralearth_build.pretrain.training_config import PretrainConfig, recipe_of


def load(path, overrides):
    return settings.read(PretrainConfig, path, overrides)


def template():
    return settings.template(PretrainConfig(), "pretrain")


def test_the_template_is_the_default_with_every_setting_explained(tmp_path):
    path = tmp_path / "default.toml"
    path.write_text(template())
    assert load(path, []) == PretrainConfig()
    lines = template().splitlines()
    settings = [i for i, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(settings) > 60
    unexplained = [lines[i] for i in settings if not lines[i - 1].startswith("#")]
    assert unexplained == []


def test_options_lie_over_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('objective = "mae"\n[train]\nbatch = 8\n[mae.views]\nsize = 64\n')
    config = load(
        path, ["train.batch=16", "encoder.name=vit_b", "mae.views.scale=[0.5, 1.0]", "data.split=train"]
    )
    assert (config.objective, config.train.batch, config.encoder.name) == ("mae", 16, "vit_b")
    assert (config.mae.views.size, config.mae.views.scale, config.data.split) == (64, (0.5, 1.0), "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.speed=9", "unknown setting 'train.speed' .known here: epochs, "),
        ("moco.views.colour=1", "unknown setting 'moco.views.colour' .known here: scale, "),
        ("objective=jepa", "objective: .*'moco', 'dino', .*'swav' or 'distil'"),
        ("train.batch=many", "train.batch"),
        ("train.batch", "not KEY=VALUE"),
        ("objective.x=1", "objective"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ConfigError, match=message):
        load(None, [text])


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("objective = ")
    with pytest.raises(ConfigError, match=r"broken.toml.*TOML"):
        load(path, [])


@pytest.mark.parametrize(
    ("objective", "epochs", "optimiser", "rate"),
    [("moco", 100, "sgd", 1e-3), ("dino", 100, "adamw", 1e-3), ("mae", 200, "adamw", 1e-4)],
)
def test_recipes_are_the_published_ones(objective, epochs, optimiser, rate):
    recipe = recipe_of(
        load(None, [f"objective={objective}"]), processes=4
    )  # of 64 samples each, as published
    assert (recipe.epochs, recipe.optimiser, recipe.rate) == (epochs, optimiser, rate)
    given = recipe_of(
        load(None, [f"objective={objective}", "train.epochs=3", "train.optimiser=adamw", "train.rate=0.5"])
    )
    assert (given.epochs, given.optimiser, given.rate) == (3, "adamw", 0.5)


def test_template_is_toml():
    assert tomllib.loads(template())["moco"]["queue"] == 32768


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["objective=mae", "encoder.image=64"], "encoder.image=64.*mae.views.size=64"),
        (["objective=mae", "mae.views.size=64", "encoder.image=128"], "views of MAE have 64"),
        (["objective=mae", "encoder.name=resnet50"], "MAE needs a ViT"),
        (["objective=moco", "train.batch=62"], "moco.batch_splits=4"),
        (["objective=moco", "moco.queue=60"], "moco.queue=60 .*train.batch=64"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        load(None, given)


def test_images_and_views_of_one_size_agree():
    for given in (["encoder.image=64", "mae.views.size=64"], ["encoder.image=128"], ["mae.views.size=96"]):
        load(None, ["objective=mae", *given])
    load(None, ["objective=simclr", "encoder.image=64"])  # other objectives interpolate the positions
