"""What pydantic finds wrong in a setting, in words for whoever wrote it: what is allowed there."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

#: By pydantic's name for the problem. What is not here is told in pydantic's own words.
_ALLOWED = {
    "missing": "the key is missing",
    "string_type": "a text is allowed, in quotes",
    "path_type": "a text is allowed, in quotes: the path of a file or folder",
    "tuple_type": 'a list is allowed, such as ["one", "two"]',
    "dict_type": "a table is allowed: keys with a value each",
    "model_type": "a table is allowed: keys with a value each",
    "int_type": "a whole number is allowed",
    "int_parsing": "a whole number is allowed",
    "int_from_float": "a whole number is allowed",
    "float_type": "a number is allowed",
    "float_parsing": "a number is allowed",
    "bool_type": "true or false is allowed",
    "bool_parsing": "true or false is allowed",
    "string_too_short": "it may not be empty",
}


def first_of(problem: ValidationError) -> ErrorDetails:
    """The error to tell: an unknown key before all else, for a key that is missing mostly is one that is
    misspelled."""
    found = problem.errors(include_url=False, include_context=False)
    return next((each for each in found if each["type"] == "extra_forbidden"), found[0])


def in_words(problem: Any) -> str:
    """One of the errors of a ``ValidationError`` in words, without where it stands or what was given."""
    if problem["type"] in _ALLOWED:
        return _ALLOWED[problem["type"]]
    message: str = problem["msg"]
    if problem["type"] == "value_error":
        return message.removeprefix("Value error, ")
    message = message.replace("Input should be", "allowed is", 1)
    return message[0].lower() + message[1:]
