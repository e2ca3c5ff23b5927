"""Small real material that several tests share."""

from collections.abc import Iterator

import jaxtyping
import numpy as np
import pytest
from sklearn.datasets import load_digits

from quantmis.data import Samples

collect_ignore_glob = ["helpers/tool_files/*"]
"""Programs that wrote files with tools of others, which are not installed here."""


@pytest.fixture(scope="session")
def digits() -> Samples:
    images, labels = load_digits(return_X_y=True)
    return Samples(images / 16, labels)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch run-time shape checks off, as for every user, so that a guard is tested and not the checker before it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
