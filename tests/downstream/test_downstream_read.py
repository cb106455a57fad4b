import pytest

from spectralearth_build.downstream.config_file import load
from spectralearth_build.errors import ConfigError
from spectralearth_build.evaluate.task_config import CHOOSES

HEAD = 'dataset = "d"\n'
TASK = '[[tasks]]\nname = "A"\nlabels = "a"\ntask = "single"\n'
ENCODER = '[[encoders]]\nname = "E"\nnetwork = "resnet18"\n'


def write(tmp_path, text):
    path = tmp_path / "b.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert str(tmp_path / "b.toml") in str(caught.value)
    return str(caught.value)


def test_a_short_file_is_enough(tmp_path):
    config = load(write(tmp_path, HEAD + TASK + ENCODER))
    assert config.tasks[0].shown == CHOOSES["single"] == "f1_macro"
    assert config.encoders[0].initialisations == ("random",)
    assert config.grid[0].seeds == (0, 1, 2)
    assert config.run.task_timeout > 86_400


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + TASK + ENCODER + "[[grid]]\nseads = [1]\n", "unknown setting 'grid.0.seads'"),
        (HEAD + TASK + 'colour = "red"\n' + ENCODER, "unknown setting 'tasks.A.colour'"),
        (HEAD + TASK.replace("single", "guess") + ENCODER, "tasks.A.task: Input should be 'multilabel'"),
        (HEAD + '[[tasks]]\nname = "A"\ntask = "single"\n' + ENCODER, "tasks.A.labels: Field required"),
        (HEAD + ENCODER, "tasks: Field required"),
        (HEAD + TASK + TASK + ENCODER, "tasks: the name 'A' is used twice"),
        (HEAD + TASK + ENCODER + "[[grid]]\nfractions = [0, 1]\n", "grid.0.fractions: fractions must be above 0"),
        (HEAD + TASK + ENCODER + "[[grid]]\nseeds = [1, 1]\n", "grid.0.seeds: give at least one value"),
        (HEAD + TASK + ENCODER + "random = false\n", "encoders.E: give pretrained weights, or set random = true"),
        (HEAD + TASK + ENCODER + '[encoders.pretrained]\nrandom = "x"\n', "encoders.E: 'random' needs no file"),
        (HEAD + TASK + ENCODER + '[encoders.pretrained]\nmoco = "no/x"\n', "E.pretrained.moco: there is no no/x"),
        (HEAD + TASK + ENCODER + '[encoders.pretrained]\nmoco = "x-{sed}"\n', "moco: the only placeholder is {seed}"),
        (HEAD + TASK + ENCODER + "[evaluate.frozen]\nepochs = 0\n", "evaluate.frozen.epochs: Input should be greater"),
        (HEAD + TASK + ENCODER + '[[grid]]\ntasks = ["B"]\n', "grid: there is no task 'B'; there are: A"),
        (HEAD + TASK + 'metric = "iou_macro"\n' + ENCODER, "tasks.A: single has no metric 'iou_macro'; it has: oa, aa"),
        (HEAD + TASK + ENCODER + "random = false\n[encoders.pretrained]\nm = 'w'\n[[grid]]\nprotocols = ['scratch']\n",
         "grid: there are no cells, because the only protocol is scratch"),
        ("dataset = [\n", "Not a readable TOML file"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_key(tmp_path, text, words):
    assert words in refusal(tmp_path, text)


def test_published_numbers_need_a_task_and_a_source(tmp_path):
    names = 'task = "B"\nencoder = "X"\ninitialisation = "Y"\nprotocol = "frozen"'
    one = f'[[published]]\n{names}\nvalue = 0.5\nsource = "S"\n'
    assert "there is no task 'B'" in refusal(tmp_path, HEAD + TASK + ENCODER + one)
    no_source = one.replace('"B"', '"A"').replace('source = "S"\n', "")
    assert "published.0.source: Field required" in refusal(tmp_path, HEAD + TASK + ENCODER + no_source)


def test_files_of_each_seed_must_be_there(tmp_path):
    (tmp_path / "w-0").touch()
    text = HEAD + TASK + ENCODER + f"[encoders.pretrained]\nmae = '{tmp_path}/w-{{seed}}'\n"
    said = refusal(tmp_path, text)
    assert "w-1" in said
    assert "w-2" in said
    assert "w-0" not in said
    load(write(tmp_path, text + "[[grid]]\nseeds = [0]\n"))


def test_options_go_before_the_file(tmp_path):
    path = write(tmp_path, HEAD + TASK + ENCODER + "[run]\nworkers = 3\nscheduler = 'inline'\n")
    assert load(path, workers=2, scheduler="").run.workers == 2
    assert load(path, workers=None).run.workers == 3
    assert load(path, workers=2).run.scheduler == "inline"


def test_files_are_asked_of_the_grids_that_hold_the_encoder(tmp_path):
    (tmp_path / "w-0").touch()
    weights = f"[encoders.pretrained]\nmae = '{tmp_path}/w-{{seed}}'\n"
    grids = '[[grid]]\nencoders = ["E"]\nseeds = [0]\n[[grid]]\nencoders = ["F"]\nseeds = [1]\n'
    load(write(tmp_path, HEAD + TASK + ENCODER + weights + ENCODER.replace("E", "F") + grids))
    both = grids.replace('["F"]', '["E", "F"]')
    said = refusal(tmp_path, HEAD + TASK + ENCODER + weights + ENCODER.replace("E", "F") + both)
    assert "encoders.E.pretrained.mae: there is no" in said
    assert "w-1" in said


@pytest.mark.parametrize("braces", ["{}", "{seed.x}", "{seed[0]}", "{seed:q}", "{"])
def test_braces_are_named_even_of_an_encoder_in_no_grid(tmp_path, braces):
    other = ENCODER.replace("E", "F") + f"[encoders.pretrained]\nmae = 'w{braces}'\n"
    said = refusal(tmp_path, HEAD + TASK + ENCODER + other + '[[grid]]\nencoders = ["E"]\n')
    assert f"encoders.F.pretrained.mae: the only placeholder is {{seed}}, got 'w{braces}'" in said
