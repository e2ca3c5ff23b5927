"""Claims about embeddings: computed by a small random transformer saved to disk, or read from files."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet
from tokenizers import Tokenizer, models, pre_tokenizers

from quantmis.data.molecules import FEATURES, Molecules, Precomputed, Transformer, embeddings
from quantmis.data.molecules.smiles import clean
from quantmis.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what transformers imports

SMILES = ("CCO", "c1ccccc1", "CC(=O)O", "CCCCCCCCCC", "CN")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("model")
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", *"CNOc1()="])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(home)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    BertModel(config).save_pretrained(home)
    return home


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "cache" / "quantmis" / "embeddings"


def molecules(smiles: tuple[str, ...] = SMILES) -> Molecules:
    return Molecules(smiles, np.arange(len(smiles)), np.arange(len(smiles)), given=len(smiles))


def test_an_embedding_is_the_mean_over_the_tokens_of_one_molecule_alone(model: Path):
    from transformers import AutoModel, AutoTokenizer

    found = FEATURES.parse(f'transformer(model="{model}")').compute(molecules(), Path())
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()
    with torch.no_grad():
        alone = [network(**tokenizer(each, return_tensors="pt")).last_hidden_state[0].mean(0) for each in SMILES]
    assert found.shape == (5, 16)
    assert np.allclose(found, torch.stack(alone).numpy(), atol=1e-5)


def test_embeddings_are_computed_once_for_the_same_content(model: Path, monkeypatch: pytest.MonkeyPatch):
    first = Transformer(str(model)).compute(molecules(), Path())
    monkeypatch.setattr(embeddings, "embed", None)
    assert (Transformer(model.name).compute(molecules(), model.parent) == first).all()
    with pytest.raises(TypeError, match="not callable"):
        Transformer(str(model)).compute(molecules(SMILES[::-1]), Path())


def test_another_model_in_the_same_folder_is_not_mistaken_for_the_first(model: Path, tmp_path: Path):
    from transformers import BertModel

    home = Path(shutil.copytree(model, tmp_path / "model"))
    first = Transformer("model").compute(molecules(), tmp_path)
    network = BertModel.from_pretrained(home)
    torch.nn.init.normal_(network.embeddings.word_embeddings.weight)
    network.save_pretrained(home)
    assert not np.allclose(Transformer("model").compute(molecules(), tmp_path), first)


def test_damaged_embeddings_are_computed_again(model: Path, cache: Path):
    first = Transformer(str(model)).compute(molecules(), Path())
    [file] = cache.iterdir()
    for damaged in (file.read_bytes()[:-9], file.read_bytes()[:-1] + b"\x7f", b""):
        file.write_bytes(damaged)
        assert (Transformer(str(model)).compute(molecules(), Path()) == first).all()


def test_a_molecule_that_is_too_long_for_the_model_is_refused_not_cut(model: Path):
    with pytest.raises(UserError, match="row 1 has 50 tokens, the model takes 40"):
        Transformer(str(model)).compute(molecules(("CO", "C" * 50)), Path())
    with pytest.raises(UserError, match="the model takes 4"):
        Transformer(str(model), length=4).compute(molecules(), Path())


def test_a_model_that_is_nowhere_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="is no folder"):
        Transformer("no/such-model").compute(molecules(), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="cannot load the model"):
        Transformer("empty").compute(molecules(), tmp_path)


@pytest.fixture
def numbers(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, 3)).astype(np.float32)


def test_rows_are_matched_by_molecule_however_it_is_written(tmp_path: Path, numbers: np.ndarray):
    written = np.array(["NC", "CCCCCCCCCC", "OC(C)=O", "C1=CC=CC=C1", "OCC"])
    np.savez(tmp_path / "e.npz", smiles=written, gcn=numbers[::-1])
    found = FEATURES.parse('precomputed(file="e.npz", array="gcn")').compute(molecules(), tmp_path)
    assert (found == numbers).all()


def test_rows_without_smiles_are_those_of_the_file_of_smiles(tmp_path: Path):
    np.savez(tmp_path / "e.npz", embeddings=np.arange(8.0).reshape(4, 2))
    found = clean(["CCO", "OCC", "nonsense", "CO"], np.arange(4), skip_unparsable=True, fewest=2)
    assert Precomputed("e.npz").compute(found, tmp_path).tolist() == [[0.0, 1.0], [6.0, 7.0]]


def test_parquet_gives_the_same_as_npz(tmp_path: Path, numbers: np.ndarray):
    table = pyarrow.table({"smiles": list(SMILES), "embeddings": numbers.tolist()})
    parquet.write_table(table, tmp_path / "e.parquet")
    assert (Precomputed("e.parquet").compute(molecules(), tmp_path) == numbers).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"embeddings": np.zeros((4, 3))}, "4 rows of embeddings for 5 rows of SMILES"),
        ({"embeddings": np.zeros((4, 3)), "smiles": np.array(SMILES)}, "5 SMILES and 4 rows of embeddings"),
        (
            {"embeddings": np.zeros((4, 3)), "smiles": np.array(SMILES[:4])},
            r"1 of 5 molecules have no embedding, the first \['CN'\]",
        ),
        ({"embedding": np.zeros((5, 3))}, "holds no 'embeddings'"),
        ({"embeddings": np.zeros(5)}, "expected rows of numbers"),
        ({"embeddings": np.array([["a"]] * 5)}, "expected rows of numbers"),
        ({"embeddings": np.array([{}] * 5)}, "cannot read"),
    ],
)
def test_embeddings_that_do_not_match_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str):
    np.savez(tmp_path / "e.npz", **arrays)
    with pytest.raises(UserError, match=message):
        Precomputed("e.npz").compute(molecules(), tmp_path)


def test_ragged_broken_and_missing_files_are_refused(tmp_path: Path):
    parquet.write_table(pyarrow.table({"embeddings": [[1.0], [1.0, 2.0]]}), tmp_path / "ragged.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    for name, message in (
        ("ragged.parquet", "ragged.parquet"),
        ("broken.parquet", "broken.parquet is no Parquet file"),
        ("broken.npz", "cannot read"),
        ("none.npz", "cannot read"),
        ("none.parquet", "cannot read"),
    ):
        with pytest.raises(UserError, match=message):
            Precomputed(name).compute(molecules(), tmp_path)
    with pytest.raises(UserError, match=r"expected an \.npz or \.parquet file"):
        Precomputed("e.pkl")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("named", [True, False])
def test_embeddings_that_are_no_numbers_are_refused_with_the_molecule(tmp_path: Path, value: float, named: bool):
    table = np.zeros((5, 3))
    table[2, 1] = value
    np.savez(tmp_path / "e.npz", embeddings=table, **({"smiles": np.array(SMILES)} if named else {}))
    with pytest.raises(UserError, match=r"1 of 5 molecules are NaN or infinite, the first \['CC\(=O\)O'\]"):
        Precomputed("e.npz").compute(molecules(), tmp_path)


def test_embeddings_of_a_broken_model_are_refused_and_not_kept(
    model: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
):
    monkeypatch.setattr(embeddings, "embed", lambda *_: np.full((5, 4), np.nan, dtype=np.float32))
    with pytest.raises(UserError, match="5 of 5 molecules are NaN or infinite"):
        Transformer(str(model)).compute(molecules(), Path())
    assert not cache.exists()


@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_that_was_harmed_anywhere_is_read_or_refused(
    tmp_path: Path, numbers: np.ndarray, compressed: bool, rng: np.random.Generator
):
    path = tmp_path / "e.npz"
    (np.savez_compressed if compressed else np.savez)(path, embeddings=numbers)
    whole, refused = path.read_bytes(), 0
    cut = [whole[:length] for length in range(0, len(whole), 5)]
    for content in (*cut, *(harmed(whole, rng) for _ in range(300))):
        path.write_bytes(content)
        try:
            Precomputed("e.npz").compute(molecules(), tmp_path)
        except UserError:
            refused += 1
    assert refused >= len(cut)


def harmed(content: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(content)
    for place in rng.integers(len(found), size=rng.integers(1, 4)):
        found[place] = rng.integers(256)
    return bytes(found)


def test_an_array_that_is_no_archive_is_refused(tmp_path: Path, numbers: np.ndarray):
    with (tmp_path / "e.npz").open("wb") as stream:
        np.save(stream, numbers)
    with pytest.raises(UserError, match=r"e\.npz holds one array, not several by name") as refused:
        Precomputed("e.npz").compute(molecules(), tmp_path)
    assert "np.savez" in (refused.value.hint or "")
