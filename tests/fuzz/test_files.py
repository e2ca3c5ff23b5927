"""What users and disks can do to files: whatever stands in them, it is read whole or refused with a `UserError`."""

from pathlib import Path

import numpy as np
import pytest
from damage import MANY, harmed
from documents import document
from hypothesis import given
from hypothesis import strategies as st

from quantmis import results
from quantmis.attacks import ATTACKS
from quantmis.audit import config as audit_file
from quantmis.audit.execution.store import Damaged, Store
from quantmis.audit.execution.work import Rows
from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS
from quantmis.tables import VersionTraits

AUDIT = b"""
[data]
file = "data.npz"

[model]
function = "module:Model"
arguments = { width = 4 }

[training]
epochs = 2

[audit]
quantizers = ["sign", "uniform(bits=4)"]
shadows = 8
"""
DOCUMENT = document().model_dump_json().encode()


pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


@MANY
@given(harmed(AUDIT))
def test_an_audit_file_is_read_or_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "audit.toml"
    path.write_bytes(content)
    try:
        audit_file.read(path)
    except UserError as error:
        assert str(path) in str(error) or error.hint  # noqa: PT017


@pytest.mark.slow
@MANY
@given(harmed(DOCUMENT))
def test_a_result_is_read_or_refused(content: bytes):
    try:
        read = results.parse(content)
    except UserError as error:
        assert "results.json" in str(error)  # noqa: PT017
        return
    assert results.parse(read.model_dump_json().encode()) == read


@pytest.mark.slow
@MANY
@given(
    st.one_of(st.text(max_size=60), st.from_regex(r"[a-z_]{1,12}\([a-z]{1,6}=[-0-9.a-z\"\[\]]{0,9}\)", fullmatch=True))
)
def test_a_name_is_understood_or_refused(spelled: str):
    for registry in (ATTACKS, QUANTIZERS):
        try:
            registry.parse(spelled)
        except UserError as error:
            assert str(error)  # noqa: PT017


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Rows of the store."""
    losses = np.random.default_rng(0).random((2, 30)).astype(np.float32)
    return Rows({"losses": losses}, [VersionTraits("f", 1.0, 0.5, 3, [])] * 2)


@MANY
@given(data=st.data())
def test_stored_rows_are_read_as_they_were_written_or_not_at_all(tmp_path: Path, rows: Rows, data):
    store, written = Store(tmp_path), rows
    store.save_rows("key", written)
    store.path("key").write_bytes(data.draw(harmed(store.path("key").read_bytes())))
    try:
        found = store.load_rows("key")
    except Damaged as damage:
        assert store.path("key").name in str(damage)  # noqa: PT017
        return
    assert found is not None
    assert found.traits == written.traits
    assert found.arrays["losses"].tolist() == written.arrays["losses"].tolist()
