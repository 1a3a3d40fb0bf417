"""Checks an input object against a JSON Schema, before any call, and says which field is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from domain.errors import InvalidArgument


def check_form(schema: Mapping[str, Any], form: Mapping[str, Any], path: Sequence[str] = ()) -> None:
    """Raise `InvalidArgument` for the most telling violation; its path is `path` and the way through `form`.

    A missing or unknown field is named at the end of the path, so that a client can mark it.
    """
    error = best_match(Draft202012Validator(schema).iter_errors(form))
    if error is None:
        return
    where = [*path, *(str(step) for step in error.absolute_path)]
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        raise InvalidArgument(
            f"The field `{missing[0]}` is missing. {_hint(schema, missing[0])}", path=[*where, missing[0]]
        )
    if error.validator == "additionalProperties":
        known = set(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - known)
        allowed = ", ".join(f"`{name}`" for name in sorted(known)) or "none"
        raise InvalidArgument(
            f"There is no field `{unknown[0]}` here. Known ones: {allowed}.", path=[*where, unknown[0]]
        )
    if error.validator == "not" and (refused := _refused_field(error.validator_value, error.instance)) is not None:
        raise InvalidArgument(f"The source takes no `{refused}`. Leave it out.", path=[*where, refused])
    raise InvalidArgument(
        f"The value is not acceptable: {_reason(error.validator, error.validator_value)}.", path=where
    )


def _refused_field(schema: object, instance: Mapping[str, Any]) -> str | None:
    """The field of `instance` that `not: {required: […]}` forbids; None where `not` says something else."""
    names = schema.get("required", ()) if isinstance(schema, Mapping) and set(schema) == {"required"} else ()
    return next((name for name in names if name in instance), None)


def _hint(schema: Mapping[str, Any], name: str) -> str:
    description = schema.get("properties", {}).get(name, {}).get("description")
    return description if isinstance(description, str) else "Fill it in."


def _reason(validator: object, value: object) -> str:
    """Never shows the value itself: it may be a secret or somebody's words."""
    return f"it breaks the rule `{validator}: {value}`"
