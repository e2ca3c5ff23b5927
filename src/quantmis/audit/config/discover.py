"""What lies in a folder: data, the model, weights, and who was a member.

Everything is recognised by its name and head; nothing is imported or unpickled. What cannot be guessed is asked.
"""

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from quantmis.data.examples import FORMS
from quantmis.data.images import SUFFIXES, parts_of
from quantmis.data.sources import Data, columns_of
from quantmis.data.table import Columns, counts_rows
from quantmis.data.text_heads import head
from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.model_folders import ADAPTER, last_checkpoint
from quantmis.models.hugging_face import CAUSAL_LM, HEADS
from quantmis.registry import suggestion

Ask = Callable[[str, Sequence[str]], str]
Literals = dict[str, bool | int | float | str]
Split = tuple[str | None, str | int, str | int]

DATA = (".csv", ".parquet", ".npz")
TEXTS = (".txt", ".jsonl")
WEIGHTS = (".safetensors", ".pt", ".pth")
TARGETS = ("target", "label", "class", "y", "outcome")
SPLITS = ("split", "set", "subset", "fold", "partition")
MARKS = ("is_train", "train", "in_train", "is_member", "member")
IN = ("train", "training", "member", "members", "in")
OUT = ("test", "valid", "validation", "val", "dev", "eval", "holdout", "held_out", "non_members", "nonmembers", "out")
ENDINGS: dict[str, tuple[str, ...]] = {head: (auto.removeprefix("AutoModel"),) for head, auto in HEADS.items()}
ENDINGS[CAUSAL_LM] += ("LMHeadModel",)
CHOOSE = "CHOOSE"
LARGEST = 10**6
BEGINNING = 40


@dataclass(frozen=True)
class Model:
    """Hold the function or class that makes a model, with its arguments; or the head and folder of transformers.

    `pretrained`: whether the model in the folder is the one before training, and not the trained one itself.
    """

    function: str = f"{CHOOSE}:{CHOOSE}"
    arguments: Literals = field(default_factory=Literals)
    head: str | None = None
    folder: str | None = None
    pretrained: bool = True


@dataclass(frozen=True)
class Found:
    """Hold what an audit file needs, as far as it was found in a folder: names, or the word to replace.

    `source` is the key of `[data]` that `data` goes with; `split` says who are members and non-members: a column with
    its two values, or None with two files of texts or of rows, or two folders of images.
    """

    source: str
    data: str | list[str]
    target: str | None
    id: str | None
    model: Model
    weights: str | None
    split: Split | None
    form: str | None = None
    """What texts are, where they are chats or other examples."""


@dataclass(frozen=True)
class Questions:
    """Ask what is not known: `answers` are by the name of the option, `ask` gives the rest."""

    ask: Ask
    answers: Mapping[str, str]

    def settle(self, option: str, question: str, choices: Sequence[str]) -> str | None:
        """Return the answer given, the only choice, or what is asked; None where there is nothing to choose."""
        answer = self.answers.get(option)
        if answer is not None:
            is_choice = answer in choices
            hint = suggestion(answer, choices) if choices else None
            require(is_choice or not choices, f"--{option}: there is no {answer!r} here", hint=hint)
            return answer
        if len(choices) > 1:
            return self.ask(f"{question} (or --{option})", choices)
        return choices[0] if choices else None


def find(folder: Path, questions: Questions) -> Found:
    """Return what an audit of what lies in `folder` needs; `UserError` where there are no data."""
    model = _model(folder, questions)
    source, data = _data(folder, questions, model)
    columns = columns_of(Data(file=str(data)), folder) if str(data).endswith((".csv", ".parquet")) else {}
    target = _target(columns, questions) if columns and source == "file" else None
    question = "Which file or folder holds the weights of the trained model, if any?"
    weights = questions.settle("weights", question, _weights(folder, model))
    if weights is None and model.folder is not None:
        weights, model = model.folder, replace(model, pretrained=False)
    if source == "texts":
        return _texts(folder, data, model, weights)
    split = (_split(columns) or _listed(folder, source, data)) if weights else None
    return Found(source, data, target, _id(columns), model, weights, split)


def _texts(folder: Path, data: str | list[str], model: Model, weights: str | None) -> Found:
    """Return what is found of texts: what they are, and who was trained on, by a column or by their two files."""
    files = [data] if isinstance(data, str) else data
    rows = head(folder / files[0])
    names = list(rows[0]) if rows else []
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    split = (_listed(folder, "texts", data) or _split(columns)) if weights else None
    fitting = [form for form in FORMS if form.column != "text" and all(name in names for name in form.needs)]
    return Found("texts", data, None, None, model, weights, split, fitting[0].title if fitting else None)


def _column(values: list[Any]) -> np.ndarray:
    """Return what rows hold as a column: numbers and truths as numbers, all else by how it begins."""
    if all(isinstance(value, bool | int | float) for value in values):
        return np.array(values, dtype=np.float64)
    return np.array([str(value)[:BEGINNING] for value in values])


def _weights(folder: Path, model: Model) -> list[str]:
    """Return what may be the trained model: files of weights, adapters, and models beside the one that was trained."""
    folders = [each.name for each in _folders(folder) if _is_trained(each, model)]
    return [*_file_names(folder, WEIGHTS), *(name for name in folders if name != model.folder)]


def _is_trained(folder: Path, model: Model) -> bool:
    last = last_checkpoint(folder)
    return (last / ADAPTER).is_file() or (model.folder is not None and _head(last) is not None)


def _data(folder: Path, questions: Questions, model: Model) -> tuple[str, str | list[str]]:
    texts = _file_names(folder, TEXTS) or [name for name in _file_names(folder, DATA) if _holds_texts(folder / name)]
    if model.head == CAUSAL_LM and texts and "data" not in questions.answers:
        sides = _sides(texts)
        return "texts", texts if sides is None else [*sides]
    kinds = dict.fromkeys(_file_names(folder, DATA), "file")
    kinds |= {each.name: "images" for each in _folders(folder) if any(map(_holds_classes, parts_of(each)))}
    if not kinds:
        kinds = {name: "function" for path in sorted(folder.glob("*.py")) for name in _functions(path)}
    choice = questions.settle("data", "What holds the data?", list(kinds))
    hint = f"a file that ends in {', '.join(DATA)}, a folder with a folder of images per class, or a function beside it"
    require(choice in kinds, f"there are no data in {folder}", hint=hint)
    return kinds[str(choice)], str(choice)


def _holds_texts(path: Path) -> bool:
    rows = head(path)
    return bool(rows) and any(all(name in rows[0] for name in form.needs) for form in FORMS)


def _sides(names: Sequence[str]) -> tuple[str, str] | None:
    """Return the one that is called as members are, and the one that is called as non-members are, where there are."""
    inside, outside = ([name for name in names if Path(name).stem.lower() in words] for words in (IN, OUT))
    return (inside[0], outside[0]) if len(inside) == len(outside) == 1 else None


def _listed(folder: Path, source: str, data: str | list[str]) -> Split | None:
    """Return the files of texts or of rows, or the folders of images, of members and of non-members."""
    if source == "images":
        sides = _sides([each.name for each in parts_of(folder / str(data))])
    else:
        sides = _sides(data if isinstance(data, list) else _file_names(folder, (".txt", ".npy")))
    return None if sides is None else (None, *sides)


def _file_names(folder: Path, endings: Sequence[str]) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.suffix in endings and each.is_file())


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _holds_classes(folder: Path) -> bool:
    classes = [each for each in _folders(folder) if any(path.suffix.lower() in SUFFIXES for path in each.iterdir())]
    return len(classes) >= 2


def _id(columns: Columns) -> str | None:
    """Return the first column of words that is different in every row, or one that counts the rows."""
    words = [name for name, column in columns.items() if column.dtype.kind == "U"]
    different = [name for name in words if len(set(columns[name].tolist())) == len(columns[name])]
    return next(iter([*different, *(name for name, column in columns.items() if counts_rows(column))]), None)


def _target(columns: Columns, questions: Questions) -> str | None:
    usual = [name for name in columns if name.lower() in TARGETS]
    choices = list(columns) if not usual or "target" in questions.answers else usual[:1]
    return questions.settle("target", "Which column is predicted?", choices)


def _split(columns: Columns) -> Split | None:
    """Return the column that says who was trained on, and its two values, where one does."""
    for name in sorted(columns, key=lambda each: each.lower() not in SPLITS):
        values = list(dict.fromkeys(columns[name].astype(str).tolist()))
        inside = [value for value in values if value.lower() in IN]
        outside = [value for value in values if value.lower() in OUT]
        if inside and outside:
            return name, inside[0], outside[0]
        if name.lower() in MARKS and columns[name].dtype.kind == "f" and set(columns[name].tolist()) == {0.0, 1.0}:
            return name, 1, 0
    return None


def _model(folder: Path, questions: Questions) -> Model:
    """Return the class or function beside the data that makes the model, or the model of transformers there."""
    arguments = {name: literals for path in sorted(folder.glob("*.py")) for name, literals in _makers(path).items()}
    saved = {each.name: head for each in _folders(folder) if (head := _head(each)) is not None}
    modules = [name for name in arguments if not saved or _is_class(folder, name)]
    choice = questions.settle("model", "What makes the model?", [*saved, *modules])
    if choice in saved:
        return Model(head=saved[choice], folder=choice)
    return Model() if choice is None else Model(choice, arguments.get(choice, {}))


def _head(folder: Path) -> str | None:
    """Return the head of the model of transformers in a folder, where there is one that is audited."""
    config = folder / "config.json"
    if not config.is_file() or config.stat().st_size > LARGEST:
        return None
    try:
        content = json.loads(content_of(config, most=LARGEST))
    except (ValueError, RecursionError, UserError):
        return None
    names: object = content.get("architectures") if isinstance(content, dict) else None
    classes = [str(each) for each in names] if isinstance(names, list) else []
    heads = [head for head, endings in ENDINGS.items() if any(each.endswith(endings) for each in classes)]
    return heads[0] if heads else None


def _body(path: Path) -> list[ast.stmt]:
    try:
        return ast.parse(content_of(path, most=LARGEST)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path} is no Python: {error}") from error


def _makers(path: Path) -> dict[str, Literals]:
    """Return the classes of a module that derive from nn's, else its functions without required arguments."""
    body = _body(path)
    modules = {each.name: _of_class(each) for each in body if isinstance(each, ast.ClassDef) and _is_module(each)}
    functions = {each.name: _literals(each.args) for each in body if _needs_nothing(each)}
    return {f"{path.stem}:{name}": literals for name, literals in (modules or functions).items()}


def _functions(path: Path) -> list[str]:
    return [f"{path.stem}:{each.name}" for each in _body(path) if _needs_nothing(each)]


def _is_class(folder: Path, spelled: str) -> bool:
    module, _, name = spelled.partition(":")
    return any(isinstance(each, ast.ClassDef) and each.name == name for each in _body(folder / f"{module}.py"))


def _is_module(each: ast.ClassDef) -> bool:
    return any(ast.unparse(base).rpartition(".")[2] in ("Module", "Sequential", "ModuleList") for base in each.bases)


def _needs_nothing(each: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    if not isinstance(each, ast.FunctionDef) or each.name.startswith("_"):
        return False
    return len(each.args.args) == len(each.args.defaults)


def _of_class(each: ast.ClassDef) -> Literals:
    """Return the arguments of a class's `__init__`."""
    constructors = [item for item in each.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    return _literals(constructors[0].args, skip=1) if constructors else {}


def _literals(arguments: ast.arguments, skip: int = 0) -> Literals:
    """Return arguments with their defaults; one without a default is the word to replace."""
    names = [each.arg for each in arguments.args]
    defaults = dict(zip(reversed(names), reversed(arguments.defaults), strict=False))
    values = {name: _literal(defaults.get(name)) for name in names[skip:]}
    return {name: value for name, value in values.items() if value is not None}


def _literal(default: ast.expr | None) -> bool | int | float | str | None:
    """Return a default as an audit file can hold it; None where it cannot."""
    if default is None:
        return CHOOSE
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError):
        return None
    return value if isinstance(value, bool | int | float | str) else None
