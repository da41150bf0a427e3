"""The config, checked in every call (SCH-05)."""

import json
import pkgutil
import re

from .errors import Failure

SCHEMA_BYTES = pkgutil.get_data(__package__, "config.schema.json")
SCHEMA = json.loads(SCHEMA_BYTES)
TYPES = {"string": str, "number": (int, float)}


def read_config(connection):
    """Returns the config of a connection, or raises INVALID_CONFIG."""
    try:
        config = json.loads(connection.config)
    except ValueError:
        raise invalid([("", "is not JSON")]) from None
    if not isinstance(config, dict):
        raise invalid([("", "must be an object")])
    known = SCHEMA["properties"]
    wrong = [(name, "is missing") for name in SCHEMA["required"] if name not in config]
    for name, value in config.items():
        complaint = violation(known[name], value) if name in known else "is not known"
        if complaint:
            wrong.append((name, complaint))
    if wrong:
        raise invalid(wrong)
    return config


def violation(rule, value):
    """Says what is wrong with a value, without the value: those keywords that our schema uses."""
    if not isinstance(value, TYPES[rule["type"]]) or isinstance(value, bool):
        return f"must be a {rule['type']}"
    if rule["type"] == "string":
        if not rule.get("minLength", 0) <= len(value) <= rule["maxLength"]:
            return f"must have {rule.get('minLength', 0)} to {rule['maxLength']} characters"
        if not re.fullmatch(rule.get("pattern", "(?s).*"), value, re.DOTALL):
            return "must be an absolute path"
    elif not rule["minimum"] <= value <= rule["maximum"]:
        return f"must be {rule['minimum']} to {rule['maximum']}"
    return None


def invalid(wrong):
    names = ", ".join(path or "the whole" for path, _ in wrong)
    return Failure("INVALID_CONFIG", f"the config is wrong: {names}", violations=wrong)
