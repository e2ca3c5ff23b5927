# ruff: noqa: E501 a message stands in one piece
"""Claims about broken audit files: each is told what is wrong and what to write, in these very words; none trains."""

import sys
from pathlib import Path

import numpy as np
import pytest
import shipped
from own_model import GOOD, MODULE

from quantmis.audit.config.running import audit_file
from quantmis.errors import UserError

FILES = {
    "own_model_of_tests.py": MODULE,
    "no_python.py": "class Net(:\n",
    "raises.py": "raise RuntimeError('no GPU here')\n",
    "leaves.py": "import sys\n\nsys.exit(3)\n",
    "helps.py": "Net = 3\n\n\ndef bad(width=1):\n    raise ValueError('bad width')\n",
    "ragged.csv": "loss,x\n1,2\n3\n",
    "quoted.csv": 'loss\n"1"2\n',
    "garbage.parquet": "xx",
    "words.csv": "sample,loss\n" + "\n".join(f"q{row},0.5" for row in range(600)) + "\n",
    "few.csv": "loss\n0.1\n0.2\n",
    "huge.txt": "\n".join([*(f"p{row}" for row in range(30)), "9" * 30]),
    "minus.txt": "-1\n",
}

# of a file: what stands there, what is written instead, the message, the hint (up to the list of what is known)
BROKEN = [
    ("epochs = 2", "epoks = 2", "{folder}/audit.toml: unknown key training.epoks", "did you mean 'epochs'? known:"),
    (
        "[audit]",
        "[adit]",
        "{folder}/audit.toml: unknown key adit",
        "did you mean 'audit' or 'auditor'? known: kind, data, model, training, target, audit",
    ),
    ("shadows = 8", "shadow = 8", "{folder}/audit.toml: unknown key audit.shadow", "did you mean 'shadows'? known:"),
    (
        "shadows = 8",
        'shadows = "8"',
        "{folder}/audit.toml: audit.shadows: Input should be a valid integer, got '8'",
        "shadows: How many models the attacks have to learn from, an even number; 64 at shadow depth.",
    ),
    (
        "shadows = 8",
        "shadows = 7",
        "shadows: expected an even number, got 7",
        "models come in complementary pairs: what one trains on, its twin does not",
    ),
    (
        "shadows = 8",
        "shadows = 2",
        "lira needs at least 2 reference models that were trained on each sample, besides the target and its twin; some sample has 0",
        "train at least 6 models in complementary pairs, or use an attack without references such as loss_threshold",
    ),
    ("shadows = 8", 'executor = "slurm"', "unknown executor 'slurm'", "known: local, ray"),
    (
        "shadows = 8",
        'engine = "stack"',
        "unknown engine 'stack'",
        "did you mean 'stacked'? known: auto, stacked, im2col, loop",
    ),
    (
        "shadows = 8",
        "held_out = 2.0",
        "held_out: expected a fraction between 0 and 1, got 2.0",
        "the share of the samples that no model is trained on, such as 0.33",
    ),
    ('["sign"]', '["sgn"]', "unknown quantizer 'sgn'", "did you mean 'sign'? known:"),
    (
        '["sign"]',
        '"sign"',
        "{folder}/audit.toml: audit.quantizers: Input should be a valid list, got 'sign'",
        'a list, of one too: quantizers = ["sign"]',
    ),
    (
        "epochs = 2",
        "epochs = 0",
        "epochs: expected at least 1, got 0",
        "epochs: Passes over the samples of one model. By default 30.",
    ),
    (
        "epochs = 2",
        "epochs = 2.5",
        "{folder}/audit.toml: training.epochs: Input should be a valid integer, got 2.5",
        "epochs: Passes over the samples of one model; 30.",
    ),
    ("epochs = 2", 'optimizer = "lion"', "unknown optimizer 'lion'", "known: adam, adamw, sgd"),
    (
        "epochs = 2",
        'epochs = 2\nfunction = "a:b"',
        "{folder}/audit.toml: training: a function trains in its own way, without epochs",
        "leave out function, or epochs",
    ),
    (
        'file = "data.npz"',
        'file = "date.npz"',
        "data.file: cannot read {folder}/date.npz: no such file or folder",
        "beside it there is data.npz",
    ),
    (
        'file = "data.npz"',
        'file = "data.csv"',
        "data.file: cannot read {folder}/data.csv: no such file or folder",
        "beside it there is digits.csv, few.csv, quoted.csv, ragged.csv, words.csv",
    ),
    (
        'file = "data.npz"',
        "",
        "{folder}/audit.toml: data: expected one source of samples",
        'give either file = "data.csv", images = "folder", function = "module:load" or texts = ["texts.txt"]',
    ),
    (
        'file = "data.npz"',
        'file = "data.npz"\nfunction = "a:b"',
        "{folder}/audit.toml: data: expected one source of samples",
        'give either file = "data.csv", images = "folder", function = "module:load" or texts = ["texts.txt"]',
    ),
    (
        'file = "data.npz"',
        'function = "own_model_of_tests:nothing"',
        "own_model_of_tests:nothing returned NoneType",
        "return x, y or quantmis.Samples(x, y)",
    ),
    (
        "own_model_of_tests:net",
        "own_model_of_tests:nett",
        "model.function: own_model_of_tests has no 'nett'",
        "did you mean 'net'? known: net, load, nothing, train",
    ),
    (
        "own_model_of_tests:net",
        "no_such_module:net",
        "model.function: cannot import 'no_such_module': No module named 'no_such_module'",
        "did you mean 'shipped_model'? known:",
    ),
    (
        "own_model_of_tests:net",
        "own_model_of_tests",
        "model.function: expected \"module:name\", got 'own_model_of_tests'",
        'write "own_model_of_tests:MyModel", the file without .py before the colon',
    ),
    (
        "own_model_of_tests:net",
        "own_model_of_tests:nothing",
        "model.function: got an unexpected keyword argument 'width'",
        "model.arguments are given to it by name: arguments = { width = 64 }",
    ),
    (
        "arguments = { width = 4 }\n",
        "name = 3\n",
        "{folder}/audit.toml: model.name: Input should be a valid string, got 3",
        "name: What the model is called in the report.",
    ),
    (
        "width = 4",
        "widht = 4",
        "model.function: got an unexpected keyword argument 'widht'",
        "model.arguments are given to it by name: arguments = { width = 64 }",
    ),
    (
        'function = "own_model_of_tests:net"',
        "",
        '{folder}/audit.toml: model: give either function = "module:Name" or transformers = "sequence-classification"',
        'write [model] with function = "my_module:MyModel"',
    ),
    (
        "[model]\n",
        '[model]\ntransformers = "x"\n',
        '{folder}/audit.toml: model: give either function = "module:Name" or transformers = "sequence-classification"',
        'write [model] with function = "my_module:MyModel"',
    ),
    (
        "arguments = { width = 4 }",
        "hub = 'a/b'",
        "{folder}/audit.toml: model: hub does not go with function",
        "leave out hub, or function",
    ),
    (
        "[data]",
        "[data",
        "{folder}/audit.toml is no TOML: Expected ']' at the end of a table declaration (at line 2, column 6)",
        "see https://toml.io; strings stand in quotes",
    ),
    (
        "[model]",
        '[model]\nloss = "crossentropy"',
        "unknown loss 'crossentropy'",
        "did you mean 'cross_entropy' or 'binary_cross_entropy'? known: binary_cross_entropy, causal_lm, cross_entropy, mse, multi_label",
    ),
    (
        "[model]",
        '[model]\nloss = "mse"',
        "mse expects the model to return [120, 1] for 120 samples, it returned [120, 2]",
        'of an output for each class: loss = "cross_entropy"; the model\'s last layer decides its width; flatten what comes before it',
    ),
    ("[audit]", "[audit]\nlevel = 95.0", "level: expected a probability between 0 and 1, got 95.0", "0.95 is 95 %"),
    (
        "[audit]",
        '[audit]\nkeep_weights = "yes"',
        "unknown keep_weights 'yes'",
        "known: all, adapters, none",
    ),
    (
        "[audit]",
        '[audit]\ndepth = "shalow"',
        "{folder}/audit.toml: audit: unknown depth 'shalow'",
        "did you mean 'shadow'? known:",
    ),
    (
        "[audit]",
        '[audit]\ncalibrate_on = "member"',
        "unknown calibrate_on 'member'",
        "did you mean 'members'? known: held_out, members",
    ),
    (
        "[training]\nepochs = 2\n",
        "",
        "models are to be trained, and nothing says how: there is no section [training]",
        'write [training] with the fields of your recipe, such as epochs = 40 (empty: quantmis\'s own), or audit a trained model as it is: [target], without shadows and with depth = "as-is"',
    ),
    (
        "own_model_of_tests:net",
        "no_python:Net",
        "model.function: no_python is no Python: invalid syntax, line 1 of {folder}/no_python.py",
        "python no_python.py says the same",
    ),
    (
        "own_model_of_tests:net",
        "raises:Net",
        "model.function: importing 'raises' raised RuntimeError: no GPU here",
        "line 1 of {folder}/raises.py: raise RuntimeError('no GPU here')",
    ),
    (
        "own_model_of_tests:net",
        "leaves:Net",
        "model.function: importing 'leaves' ended the program: 3",
        "line 3 of {folder}/leaves.py: sys.exit(3)",
    ),
    (
        "own_model_of_tests:net",
        "helps:Net",
        "model.function: helps:Net is of type int, no class or function",
        "name the class, or a function: def make(): return MyModel(...)",
    ),
    (
        "own_model_of_tests:net",
        "helps:bad",
        "model.function: helps:bad raised ValueError: bad width",
        "line 5 of {folder}/helps.py: raise ValueError('bad width')",
    ),
    (
        "width = 4",
        'width = "four"',
        "model.function: own_model_of_tests:net raised TypeError: empty(): argument 'size' (position 1) must be tuple of ints, but found element of type str at pos 0",
        "line 6 of {folder}/own_model_of_tests.py: return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 2))",
    ),
    (
        '[data]\nfile = "data.npz"\n',
        "",
        "{folder}/audit.toml: there is no section [data]",
        'write [data] with file = "people.csv" and target = "the column to predict", or with another source',
    ),
    (
        'file = "data.npz"',
        'file = "data.npz"\nimages = "pets"',
        "{folder}/audit.toml: data: expected one source of samples",
        'give either file = "data.csv", images = "folder", function = "module:load" or texts = ["texts.txt"]',
    ),
    (
        'file = "data.npz"',
        'file = "data.npz"\nscale = "standard"',
        "data.scale does not go with a .npz file",
        "with it go features, file, groups, id, memory, target",
    ),
    (
        'file = "data.npz"',
        'images = "pets"\nsize = "32"',
        "{folder}/audit.toml: data.size: Input should be a valid integer, got '32'",
        "size: Pixels of the squares that images are scaled to.",
    ),
    (
        'file = "data.npz"',
        'file = "model.pkl"',
        "data.file: model.pkl may be a pickle, which can run code when it is opened: it was not opened",
        "np.savez(path, x=x, y=y) saves arrays; .csv and .parquet hold tables",
    ),
    (
        "epochs = 2",
        "epochs = 2\nepochs = 3",
        "{folder}/audit.toml is no TOML: Cannot overwrite a value (at line 11, column 11)",
        "see https://toml.io; strings stand in quotes",
    ),
    (
        "epochs = 2",
        "epochs = " + "9" * 5000,
        "{folder}/audit.toml is no TOML: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit",
        "see https://toml.io; strings stand in quotes",
    ),
    (
        "epochs = 2",
        "epochs = " + "[" * 3000,
        "{folder}/audit.toml is no TOML: it is nested too deeply",
        "see https://toml.io; strings stand in quotes",
    ),
]
BROKEN_TARGETS = [
    (
        '"model.safetensors"',
        '"modell.safetensors"',
        "target.weights: cannot read {folder}/modell.safetensors: no such file or folder",
        "beside it there is model.safetensors",
    ),
    (
        '"model.safetensors"',
        '"../model.safetensors"',
        "target.weights: ../model.safetensors leads out of the folder of the audit file, to {above}/model.safetensors",
        "put it beside the audit file, or name it by its absolute path",
    ),
    (
        '"model.safetensors"',
        '"."',
        "{folder} is a folder, and holds weights only where the model is one of transformers",
        "name the file: model.safetensors",
    ),
    (
        '"model.safetensors"',
        "3",
        "{folder}/audit.toml: target.weights: Input should be a valid string, got 3",
        "weights: The weights in safetensors: a file, or the folder of a model or adapter of transformers, or of a "
        'Trainer (its last checkpoint, where it holds no model itself; "out/checkpoint-500" names one); or a quantized '
        "file: GGUF, GPTQ, compressed-tensors, bitsandbytes, torchao, ONNX or LiteRT.",
    ),
    (
        'column = "split"',
        'column = "spilt"',
        "target.column: there is no column 'spilt'",
        "did you mean 'split' or 'pixel9'? known:",
    ),
    (
        'members = "train"',
        'members = "trian"',
        "target.members: column 'split' holds no 'trian'",
        "did you mean 'train'? known: train, test; it holds 2 different values",
    ),
    (
        'members = "train"',
        "members = 1",
        "target.members: column 'split' holds no 1",
        "known: train, test; it holds 2 different values",
    ),
    (
        'column = "split"',
        "",
        "target.members: there is no file 'train' of row numbers or ids",
        "beside it there is audit.toml, data.npz, digits.csv, few.csv, garbage.parquet and others; of a value in a column of digits.csv: column = that column",
    ),
    (
        'column = "split"\nmembers = "train"',
        "members = 1",
        "target.members: expected the name of a file, got 1",
        'with column = "split" it is a value in that column',
    ),
    (
        'members = "train"\n',
        "",
        "{folder}/audit.toml: target.members is missing",
        "members: A file of row numbers or ids, a line each (`.txt`), or of whole numbers (`.npy`); with `column`, the value there that marks members; of texts, the name of a file in `[data] texts`; of images, that of a folder such as `train`.",
    ),
    (
        'non_members = "test"',
        'non_members = "train"',
        "300 rows are both members and non-members, the first is row [0]",
        "a sample was trained on or was not",
    ),
    (
        'column = "split"\nmembers = "train"',
        'members = "huge.txt"',
        "target.members: 1 ids are not in the data, the first is ['999999999999999999999999999999']",
        "ids are those of the column that [data] id names, such as p0, p1, p2",
    ),
    (
        'column = "split"\nmembers = "train"',
        'members = "minus.txt"',
        "target.members: 1 ids are not in the data, the first is ['-1']",
        "ids are those of the column that [data] id names, such as p0, p1, p2",
    ),
    ("weights =", "weigths =", "{folder}/audit.toml: unknown key target.weigths", "did you mean 'weights'? known:"),
    (
        "[audit]",
        'accuracy = "98 %"\n[audit]',
        "{folder}/audit.toml: target.accuracy: Input should be a valid number, got '98 %'",
        "accuracy: The accuracy (R^2 of real targets) that is known of the model on samples that it was not trained on; an audit that measures another on the non-members is refused.",
    ),
    (
        "[audit]",
        "accuracy = 0.2\n[audit]",
        "model.safetensors has accuracy 0.927 (0.860 to 0.963) on the non-members, and 0.200 is stated",
        "was it trained on these columns, in this order, with this encoding and scale? data.features names columns in order",
    ),
    (
        "[audit]",
        'overlap = "keep"\n[audit]',
        "{folder}/audit.toml: target.overlap: Input should be 'refuse' or 'drop', got 'keep'",
        "overlap: What to do about samples that are members and non-members at once.",
    ),
    (
        "[audit]",
        'name = ""\n[audit]',
        "{folder}/audit.toml: target.name: Input should be a word, got ''",
        "name: What the model is called in the report.",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\n[audit]',
        "{folder}/audit.toml: target.versions.0: give one of weights, predict or table",
        'weights = "model.gguf" is a file, predict = "my_module:int8" a function, table = "losses.csv" losses',
    ),
    (
        "[audit]",
        '[[target.versions]]\nnam = "x"\n[audit]',
        "{folder}/audit.toml: unknown key target.versions.0.nam",
        "did you mean 'name' or 'rename'? known: name, weights, function, table, rename, like",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = ""\ntable = "x.npz"\n[audit]',
        "{folder}/audit.toml: target.versions.0.name: Input should be a word, got ''",
        "name: What the version is called in the report.",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "few.csv"\n[[target.versions]]\nname = "x"\ntable = "few.csv"\n[audit]',
        "{folder}/audit.toml: target: two versions are called 'x'",
        "name each version differently",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "x.npz"\n[audit]',
        "target.versions.x: cannot read {folder}/x.npz: no such file or folder",
        "beside it there is data.npz",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "ragged.csv"\n[audit]',
        "the loss table: row 1 of ragged.csv has 1 values, the header names 2 columns",
        "rows count from 0, without the header; text that holds the separator stands in double quotes",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "quoted.csv"\n[audit]',
        "the loss table: quoted.csv is no CSV: ',' expected after '\"'",
        "text that holds the separator stands in double quotes",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "garbage.parquet"\n[audit]',
        "the loss table: garbage.parquet is no Parquet file: Parquet file size is 2 bytes, smaller than the minimum file footer (8 bytes)",
        "it is no Parquet file, or was cut short: write it again",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "words.csv"\n[audit]',
        "the column sample names 600 samples that are not in the data, the first is ['q0']",
        "they are the ids that [data] id names, such as p0, p1, p2",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "few.csv"\n[audit]',
        "x: expected a loss table of 1 model and 600 samples, got (1, 2)",
        "a loss for every sample of the audit, in its order",
    ),
    (
        "[audit]",
        '[[target.versions]]\nname = "x"\ntable = "few.csv"\nlike = "int8"\n[audit]',
        "x: there is no quantizer 'int8' in this audit",
        "did you mean 'identity'? known: identity, uniform(bits=8), ternary(sparsity=0.9)",
    ),
    (
        "[audit]",
        "[audit]\nshadows = 8",
        "models are to be trained, and nothing says how: there is no section [training]",
        'write [training] with the fields of your recipe, such as epochs = 40 (empty: quantmis\'s own), or audit a trained model as it is: [target], without shadows and with depth = "as-is"',
    ),
    (
        "[audit]",
        '[audit]\ndepth = "shadow"',
        "models are to be trained, and nothing says how: there is no section [training]",
        'write [training] with the fields of your recipe, such as epochs = 40 (empty: quantmis\'s own), or audit a trained model as it is: [target], without shadows and with depth = "as-is"',
    ),
    (
        "[audit]",
        '[audit]\nattacks = ["lira"]',
        "lira needs other models than the one that was given, and an as-is audit trains none",
        'leave it out, or give a recipe and depth = "shadow"',
    ),
]
CASES = [(GOOD, *each) for each in BROKEN] + [(shipped.FILE, *each) for each in BROKEN_TARGETS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("broken") / "audits"
    path.mkdir()
    shipped.files(path)
    draw = np.random.default_rng(0)
    np.savez(path / "data.npz", x=draw.normal(size=(120, 6)), y=draw.integers(0, 2, 120))
    for name, content in FILES.items():
        (path / name).write_text(content)
    return path


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


@pytest.mark.parametrize(("base", "old", "new", "message", "hint"), CASES)
@pytest.mark.usefixtures("unchecked")
def test_a_broken_file_is_told_what_is_wrong_and_what_to_write(
    folder: Path, base: str, old: str, new: str, message: str, hint: str | None
):
    assert old in base
    (folder / "audit.toml").write_text(base.replace(old, new, 1))
    with pytest.raises(UserError) as refused:
        audit_file(folder / "audit.toml", folder / "out", {})
    said = refused.value.hint
    assert str(refused.value) == message.replace("{folder}", str(folder)).replace("{above}", str(folder.parent))
    if hint is None:
        assert said is None
    else:
        wanted, known, _ = hint.replace("{folder}", str(folder)).partition("known:")
        assert str(said).partition("known:")[:2] == (wanted, known)
    assert not (folder / "out" / "store").exists()


def test_there_are_many_cases_and_most_have_a_hint():
    assert len(CASES) > 80
    assert sum(hint is not None for *_, hint in CASES) > 65


@pytest.mark.slow
@pytest.mark.parametrize("members", ['"1"', "1", "1.0", '"true"'])
def test_ones_and_zeros_mark_members_however_they_are_written(folder: Path, members: str):
    lines = (folder / "digits.csv").read_text().replace(",train,", ",1,").replace(",test,", ",0,")
    (folder / "bits.csv").write_text(lines)
    text = shipped.FILE.replace("digits.csv", "bits.csv").replace('"train"', members).replace('"test"', "0")
    (folder / "audit.toml").write_text(text.replace("[audit]", "overlap = 'drop'\n[audit]"))
    found = audit_file(folder / "audit.toml", folder / "bits", {}).document
    assert (found.target.members, found.target.non_members) == (300, 300)


@pytest.mark.slow
def test_a_loss_table_is_aligned_by_the_ids_of_the_data(folder: Path):
    draw = np.random.default_rng(0)
    losses = np.where(np.arange(600) < 300, 0.1, 2.0) + 0.01 * draw.random(600)
    for name, rows in (("ordered", np.arange(600)), ("shuffled", draw.permutation(600))):
        lines = [f"p{row},{losses[row]}" for row in rows]
        (folder / f"{name}.csv").write_text("\n".join(["sample,loss", *lines]) + "\n")
    versions = "".join(
        f'[[target.versions]]\nname = "{name}"\ntable = "{name}.csv"\n' for name in ("ordered", "shuffled")
    )
    (folder / "audit.toml").write_text(shipped.FILE.replace("[audit]", f"{versions}[audit]"))
    found = audit_file(folder / "audit.toml", folder / "aligned", {}).document
    areas = [found.version(name).attacks["loss_threshold"].adaptive["auc"].value for name in ("ordered", "shuffled")]
    assert areas == [1.0, 1.0]
    pixels = ", ".join(f'"pixel{each}"' for each in range(64))
    nameless = shipped.FILE.replace('id = "person"', f"features = [{pixels}]")
    (folder / "audit.toml").write_text(nameless.replace("[audit]", f"{versions}[audit]"))
    with pytest.raises(UserError, match="names 600 samples that are not in the data"):
        audit_file(folder / "audit.toml", folder / "aligned", {})


@pytest.mark.slow
def test_a_file_in_utf_8_with_a_byte_order_mark_is_read(folder: Path):
    (folder / "audit.toml").write_bytes(b"\xef\xbb\xbf" + shipped.FILE.replace("\n", "\r\n").encode())
    assert audit_file(folder / "audit.toml", folder / "marked", {}).document.data.samples == 600


def test_an_endless_file_is_refused(folder: Path):
    (folder / "zero.toml").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="is a device"):
        audit_file(folder / "zero.toml", folder / "out", {})
