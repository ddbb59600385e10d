"""Keeps schemathesis from ending its own access: its token and that token's owner are not what it removes or changes.
And lets it reach what has an id that nobody guesses: requests that are valid ask for operations that are there, each for
one that can be acted on so, and for a version of the configuration that was in force."""

import json
import os
import re

import schemathesis

KEPT = set(os.environ["KEPT"].split(","))
# By what is done with it, the id of an operation.
OPERATIONS = json.loads(os.environ.get("OPERATIONS", "{}"))
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def reach(case):
    path = case.operation.path
    known = OPERATIONS.get(path.rsplit("/", 1)[-1], OPERATIONS.get("show"))
    if known and "/operations/{id}" in path and UUID.fullmatch(str((case.path_parameters or {}).get("id"))):
        case.path_parameters["id"] = known
    body = case.body
    if path.endswith("/config/restore") and isinstance(body, dict) and set(body) <= {"version", "dry_run"}:
        if type(body.get("version")) is int and body["version"] > 0 and type(body.get("dry_run", False)) is bool:
            body["version"] = 2


@schemathesis.hook
def before_call(context, case, kwargs):
    reach(case)
    if case.method != "GET":
        for name, value in (case.path_parameters or {}).items():
            if value in KEPT:
                case.path_parameters[name] = f"not-{value}"
