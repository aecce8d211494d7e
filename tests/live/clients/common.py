"""What both scripts need: checks that say what they compared, and waits with a deadline."""

import os
import time

PATIENCE = 20.0
checks = 0


def require(name):
    """What the simulators printed under this name."""
    if name not in os.environ:
        raise SystemExit(f"FAILED: {name} is not set; `run` starts the simulators that print it")
    return os.environ[name]


def check(what, got, wanted):
    global checks
    if got != wanted:
        raise SystemExit(f"FAILED: {what}: wanted {wanted!r}, got {got!r}")
    checks += 1


def refused(what, error, act):
    """Runs `act`, which must end with this class of the client's own errors; returns it."""
    global checks
    try:
        got = act()
    except error as refusal:
        checks += 1
        return refusal
    except Exception as other:
        raise SystemExit(f"FAILED: {what}: wanted {error.__name__}, got {type(other).__name__}: {other}") from other
    raise SystemExit(f"FAILED: {what}: wanted {error.__name__}, got an answer: {got!r}")


def until(what, ask, wanted):
    """Asks until the answer is wanted; returns it."""
    global checks
    deadline = time.monotonic() + PATIENCE
    while not wanted(got := ask()):
        if time.monotonic() > deadline:
            raise SystemExit(f"FAILED: {what}: not within {PATIENCE:.0f} s; the last answer was {got!r}")
        time.sleep(0.1)
    checks += 1
    return got


def say(client):
    print(f"{client}: {checks} checks passed")
