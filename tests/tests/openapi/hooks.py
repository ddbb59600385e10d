"""Keeps schemathesis from ending its own access: its token and that token's owner are not what it removes or changes."""

import os

import schemathesis

KEPT = set(os.environ["KEPT"].split(","))


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.method != "GET":
        for name, value in (case.path_parameters or {}).items():
            if value in KEPT:
                case.path_parameters[name] = f"not-{value}"
