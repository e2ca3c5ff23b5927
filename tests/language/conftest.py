"""Tiny base models that every test of language models may share."""

from pathlib import Path

import pytest
from tiny_models import save_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("language") / "base")


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("language") / "gpt2", "gpt2")
