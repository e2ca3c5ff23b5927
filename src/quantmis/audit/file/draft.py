"""`quantmis init`: a commented audit file from what lies in a folder.

Data, weights and modules are recognised by their names and heads; nothing is imported or unpickled. What cannot be
guessed is asked, or, where nobody answers, left as a line that the first `quantmis audit` refuses with what to write.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quantmis.audit.file.sections import read
from quantmis.data.sources import Data, columns_of
from quantmis.data.table import Columns
from quantmis.errors import UserError, require
from quantmis.files import write_atomically

Ask = Callable[[str, Sequence[str]], str]

DATA = (".csv", ".parquet", ".npz")
WEIGHTS = (".safetensors", ".pt", ".pth")
TARGETS = ("target", "label", "class", "y", "outcome")
SPLITS = ("split", "set", "subset", "fold", "partition")
IN, OUT = ("train", "training", "member", "members", "in"), ("test", "valid", "validation", "holdout", "out")
CHOOSE = "CHOOSE"


@dataclass(frozen=True)
class Found:
    """Hold what an audit file needs, as far as it was found in a folder: names, or the word to replace."""

    data: str
    target: str | None
    id: str | None
    model: str
    weights: str | None
    split: tuple[str, str, str] | None


def draft(folder: Path, name: str, ask: Ask) -> Path:
    """Write an audit file for what lies in `folder` and return its path; `ask(question, choices)` settles the rest.

    Raises `UserError` where there are no data, or where the file exists.
    """
    path = folder / name
    require(folder.is_dir(), f"there is no folder {folder}")
    require(not path.exists(), f"{path} exists already", hint="name another with --name, or remove it")
    text = _text(_found(folder, ask))
    write_atomically(path, text.encode())
    read(path)
    return path


def _found(folder: Path, ask: Ask) -> Found:
    data = _one(_named(folder, DATA), "Which file holds the data?", ask)
    hint = f"a file that ends in {', '.join(DATA)}; quantmis audit takes images and functions too: see the README"
    require(data is not None, f"there are no data in {folder}", hint=hint)
    columns = _columns(folder, str(data))
    target = _target(columns, ask) if columns else None
    weights = _one(_named(folder, WEIGHTS), "Which file holds the weights of the trained model, if any?", ask)
    return Found(str(data), target, _id(columns), _model(folder, ask), weights, _split(columns) if weights else None)


def _named(folder: Path, endings: Sequence[str]) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.suffix in endings and each.is_file())


def _one(names: Sequence[str], question: str, ask: Ask) -> str | None:
    if len(names) > 1:
        return ask(question, names)
    return names[0] if names else None


def _columns(folder: Path, data: str) -> Columns:
    """Return the columns of a table; nothing for arrays."""
    return {} if data.endswith(".npz") else columns_of(Data(file=data), folder)


def _id(columns: Columns) -> str | None:
    """Return the first column of words that is different in every row."""
    words = [name for name, column in columns.items() if column.dtype.kind == "U"]
    return next((name for name in words if len(set(columns[name].tolist())) == len(columns[name])), None)


def _target(columns: Columns, ask: Ask) -> str:
    usual = [name for name in columns if name.lower() in TARGETS]
    return usual[0] if usual else ask("Which column is predicted?", list(columns))


def _split(columns: Columns) -> tuple[str, str, str] | None:
    """Return the column that says who was trained on, and its two words, where one does."""
    for name in sorted(columns, key=lambda each: each.lower() not in SPLITS):
        values = list(dict.fromkeys(columns[name].astype(str).tolist()))
        inside = [value for value in values if value.lower() in IN]
        outside = [value for value in values if value.lower() in OUT]
        if inside and outside:
            return name, inside[0], outside[0]
    return None


def _model(folder: Path, ask: Ask) -> str:
    """Return the class or function beside the data that makes the model."""
    makers = [f"{path.stem}:{name}" for path in sorted(folder.glob("*.py")) for name in _makers(path)]
    return _one(makers, "What makes the model?", ask) or f"{CHOOSE}:{CHOOSE}"


def _makers(path: Path) -> list[str]:
    """Return the classes of a module that derive from nn's, else its functions without required arguments."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} is no Python: {error}") from error
    modules = [each.name for each in body if isinstance(each, ast.ClassDef) and any(map(_is_module, each.bases))]
    functions = [each.name for each in body if isinstance(each, ast.FunctionDef) and _needs_nothing(each)]
    return modules or functions


def _is_module(base: ast.expr) -> bool:
    return ast.unparse(base).rpartition(".")[2] in ("Module", "Sequential", "ModuleList")


def _needs_nothing(function: ast.FunctionDef) -> bool:
    return len(function.args.args) == len(function.args.defaults) and not function.name.startswith("_")


def _text(found: Found) -> str:
    names = {"target": found.target, "id": found.id}
    keys = "".join(f"{key} = {_quoted(value)}\n" for key, value in names.items() if value is not None)
    head = HEAD.format(data=_quoted(found.data), keys=keys, model=_quoted(found.model))
    return head + (_shipped(found) if found.weights else NO_TARGET) + TAIL


def _shipped(found: Found) -> str:
    if found.split is None:
        members = MEMBERS
    else:
        column, inside, outside = map(_quoted, found.split)
        members = f"column = {column}\nmembers = {inside}\nnon_members = {outside}\n"
    return f"# the very model that is to ship\n[target]\nweights = {_quoted(str(found.weights))}\n{members}"


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


HEAD = """# What quantmis audits. Paths and modules are looked for beside this file; all keys: quantmis schema

[data]
file = {data}
{keys}
# function: module:Name of a torch.nn.Module class, or of a function that returns one
[model]
function = {model}
loss = "cross_entropy"           # or "mse", "multi_label": quantmis list losses

# [training]                     # how the model is trained: then shadow models show what the procedure gives away
# epochs = 40
# batch_size = 32
# learning_rate = 1e-3           # or: function = "module:train"

"""
MEMBERS = """members = "members.txt"          # a row number or an id on each line
non_members = "non_members.txt"
"""
NO_TARGET = """# [target]                       # the very model that is to ship, where there is one
# weights = "model.safetensors"
# members = "members.txt"        # a row number or an id on each line
# non_members = "non_members.txt"
"""
TAIL = """
[audit]
# depth = "shadow"               # as-is: seconds; indicator: a few trainings; shadow: tens of trainings
quantizers = ["uniform(bits=8)", "uniform(bits=4)", "normal_float(bits=4)", "sign"]   # quantmis list quantizers
"""
