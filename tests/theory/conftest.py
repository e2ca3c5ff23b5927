import jaxtyping
import pytest


@pytest.fixture
def unchecked_shapes():
    """Let wrong shapes through to the library's own refusal, as they go in a user's process."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
