"""Every single setting of every verb, by dotted key, with what its JSON schema allows."""

from spectralearth_build.config import Config
from spectralearth_build.evaluate.task_config import EvaluateConfig
from spectralearth_build.pretrain.training_config import PretrainConfig
from spectralearth_build.settings.reading import section_of

NEEDED = {Config: {}, PretrainConfig: {}, EvaluateConfig: {"labels": "corine", "task": "segmentation"}}
"""The settings of each kind that have no default."""


def leaves(kind, prefix=""):
    """(dotted key, JSON schema) of each setting below a section."""
    schema = kind.model_json_schema()
    for name, field in kind.model_fields.items():
        section = section_of(field)
        if section is not None:
            yield from leaves(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", resolved(schema["properties"][name], schema)


def resolved(part, schema):
    while "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    return part


ALL = [(kind, key, schema) for kind in NEEDED for key, schema in leaves(kind)]
IDS = [f"{kind.__name__}-{key}" for kind, key, _ in ALL]


def value_at(config, key):
    for name in key.split("."):
        config = getattr(config, name)
    return config
