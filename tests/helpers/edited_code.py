"""Forget what was read of our own code, for tests that edit a copy of it."""

from quantmis.audit.execution import measured, own_code


def forget() -> None:
    """What was read before is read anew."""
    for each in (own_code._read, own_code._imports, own_code._behind, measured._code):
        each.cache_clear()
