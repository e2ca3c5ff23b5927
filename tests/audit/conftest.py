"""Fixtures of tests of audits."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from edited_code import forget

from quantmis.audit.execution import own_code


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of our own code that tests may edit, and that keys are made from."""
    home = Path(shutil.copytree(own_code.HOME, tmp_path / "quantmis", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setattr(own_code, "HOME", home)
    forget()
    yield home
    forget()
