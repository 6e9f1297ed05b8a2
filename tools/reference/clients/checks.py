"""Checks of one client: each is a function; what it raises is its failure."""

import asyncio
import inspect
import os
import sys
import traceback

ORIGIN = os.environ["DARKROOM_ORIGIN"]
TOKEN = os.environ["REPLICATE_API_TOKEN"]
ECHO = "test/echo:" + "e" * 64

_checks = []


def check(function):
    _checks.append(function)
    return function


def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        for word in words:
            assert word in str(error), f"{word!r} is not in {error}"
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def run_checks():
    """Runs all of them and prints a line for each; ends with their number, and with 1 when one has failed."""
    failed = 0
    for function in _checks:
        name = function.__doc__ or function.__name__
        try:
            result = function()
            if inspect.isawaitable(result):
                asyncio.run(result)
            print(f"ok   {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {name}", flush=True)
            traceback.print_exc(limit=-4, file=sys.stdout)
    print(f"{len(_checks) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
