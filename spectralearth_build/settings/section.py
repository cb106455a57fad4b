"""The base class of all settings."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """Base class of all sections: unknown keys are errors, values are immutable, numbers are finite.

    The docstring below a field describes the setting. Templates and documentation show it.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_not_given(cls, tree: Any) -> Any:  # noqa: ANN401
        """Merge a table into the default of its field, key by key.

        The default of a field may differ from that of its type: the views of MAE are not those of DINO. So a table that
        sets one key must not reset the others.
        """
        if not isinstance(tree, dict):
            return tree
        return {name: _over_default(cls, name, value) for name, value in tree.items()}

    def changed(self, **values: Any) -> Self:  # noqa: ANN401
        """Return the settings with other values, validated again.

        Raises:
            pydantic.ValidationError: A value is invalid.
        """
        return type(self).model_validate({**self.given(), **values})

    def given(self) -> dict[str, Any]:
        """Return the settings that were set, here or in a default. The others have the default of their field."""
        return {
            name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set
        }


def _over_default(kind: type[Section], name: str, value: Any) -> Any:  # noqa: ANN401
    field = kind.model_fields.get(name)
    if field is None or not isinstance(value, dict):
        return value
    default = field.get_default(call_default_factory=True, validated_data={})
    return {**default.given(), **value} if isinstance(default, Section) else value
