"""Files that somebody made to do harm: each is refused in words, in less than ten seconds, by whatever reads it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_files
import pytest

from quantmis import results
from quantmis.audit import config as audit_file
from quantmis.data.sources import Data
from quantmis.data.sources import read as read_data
from quantmis.data.texts import read_texts
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.gate import policy
from quantmis.model_folders import require_sound
from quantmis.models.weights import read_weights
from quantmis.quantizers.formats import format_of
from quantmis.quantizers.formats import read as read_quantized
from quantmis.shipped import shipped
from quantmis.tables.saved import Damaged, read_table
from quantmis.tensor_files import digest_of, head_of

pytestmark = [
    pytest.mark.usefixtures("unchecked"),  # refusals are ours, not the type checker's
    pytest.mark.filterwarnings("ignore::UserWarning"),  # that PyTorch will not have quantized tensors for ever
]
PATIENCE = 10
Read = Callable[[Path], Any]


def refused(read: Read, path: Path) -> str:
    """Return why something is refused; fail where it is not, or takes long."""
    start = time.process_time()
    with pytest.raises(UserError) as said:
        read(path)
    assert time.process_time() - start < PATIENCE
    assert str(said.value).isprintable()
    assert "::error" not in str(said.value).split(" ")[0]
    return str(said.value)


def table(path: Path) -> Any:
    try:
        return read_table(path, "identity", "models")
    except Damaged as why:
        raise UserError(str(why)) from why


@pytest.mark.parametrize("name", hostile_files.HEADS)
def test_a_head_that_does_not_fit_is_refused(tmp_path: Path, name: str):
    path = hostile_files.file("model.safetensors", hostile_files.HEADS[name])(tmp_path)
    for read in (head_of, shipped, read_weights, read_quantized):
        refused(read, path)


@pytest.mark.parametrize("name", hostile_files.BLOCKS)
def test_a_gguf_file_that_claims_more_than_it_holds_is_refused(tmp_path: Path, name: str):
    refused(read_quantized, hostile_files.file("model.gguf", hostile_files.BLOCKS[name])(tmp_path))


@pytest.mark.parametrize("name", hostile_files.PICKLES)
def test_an_archive_of_other_things_than_plain_tensors_is_refused(tmp_path: Path, name: str):
    refused(read_weights, hostile_files.file("model.pt", hostile_files.PICKLES[name]())(tmp_path))


@pytest.mark.parametrize("name", hostile_files.ARRAYS)
def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path: Path, name: str):
    path = hostile_files.file("table.npz", hostile_files.ARRAYS[name])(tmp_path)
    for read in (table, Evidence.from_table):
        refused(read, path)


@pytest.mark.parametrize("name", hostile_files.TABLES)
def test_a_table_of_settings_that_is_none_is_refused(tmp_path: Path, name: str):
    path = hostile_files.file("audit.toml", hostile_files.TABLES[name])(tmp_path)
    for read in (audit_file.read, policy.read):
        refused(read, path)


@pytest.mark.parametrize("name", hostile_files.DOCUMENTS)
def test_a_document_that_is_none_is_refused(tmp_path: Path, name: str):
    refused(results.read, hostile_files.file("results.json", hostile_files.DOCUMENTS[name])(tmp_path))


@pytest.mark.parametrize("name", hostile_files.FOLDERS)
def test_a_folder_that_asks_for_more_than_it_may_is_refused(tmp_path: Path, name: str):
    refused(require_sound, hostile_files.FOLDERS[name](tmp_path))


READERS: dict[str, Read] = {
    "digest": digest_of,
    "head": head_of,
    "weights": read_weights,
    "quantized": read_quantized,
    "format": format_of,
    "shipped": shipped,
    "policy": policy.read,
    "results": results.read,
    "audit file": audit_file.read,
    "table": table,
    "losses": Evidence.from_table,
    "texts": lambda path: read_texts([path]),
    "data": lambda path: read_data(Data(file=path.name, target="a"), path.parent),
}
OF_FOLDERS = {"digest", "format", "shipped"}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", hostile_files.PLACES)
def test_what_is_no_file_is_never_waited_for(tmp_path: Path, place: str, reader: str):
    path = hostile_files.PLACES[place](tmp_path)
    if place == "a folder" and reader in OF_FOLDERS:
        READERS[reader](path)  # an empty one holds nothing
        return
    if place == "a device" and reader == "data":
        return  # it may not be named from a file elsewhere, which has tests of its own
    refused(READERS[reader], path)
