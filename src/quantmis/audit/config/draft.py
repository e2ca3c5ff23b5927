"""`quantmis init`: a commented audit file from what lies in a folder.

What cannot be guessed is asked, or, where nobody answers, left as a line that the first `quantmis audit` refuses with
what to write.
"""

from collections.abc import Mapping
from pathlib import Path

from quantmis.audit.config.discover import CHOOSE, Ask, Found, Literals, Model, Questions, find
from quantmis.audit.config.sections import parsed
from quantmis.errors import require
from quantmis.files import write_atomically
from quantmis.models.hugging_face import CAUSAL_LM


def draft(folder: Path, name: str, ask: Ask, answers: Mapping[str, str] | None = None) -> Path:
    """Write an audit file for what lies in `folder` and return its path.

    `answers` are by the names of the options, data, target, model and weights; `ask(question, choices)` settles
    the rest. Raises `UserError` where there are no data, or where the file exists.
    """
    path = folder / name
    require(folder.is_dir(), f"there is no folder {folder}", hint="name the folder that holds data and model")
    require(not path.exists(), f"{path} exists already", hint="name another with --name, or remove it")
    content = _text(find(folder, Questions(ask, answers or {}))).encode()
    parsed(content, path)
    write_atomically(path, content, private=False)
    return path


def _text(contents: Found) -> str:
    kind = f"kind = {_quoted(CAUSAL_LM)}\n\n" if contents.source == "texts" else ""
    entries = {contents.source: contents.data, "target": contents.target, "id": contents.id}
    keys = "".join(f"{key} = {_toml(value)}\n" for key, value in entries.items() if value is not None)
    data = keys + _read_as(contents)
    head = HEAD.format(kind=kind, data=data, model=_model(contents.model, bool(kind)))
    return head + (_shipped(contents) if contents.weights else NO_TARGET) + TAIL


def _read_as(contents: Found) -> str:
    """Write how data are read: what a trained model saw is for its owner to say, and stays a comment."""
    if contents.form:
        return LOSS_ON.format(contents.form)
    if contents.source == "images":
        return SIZE
    if contents.target is None:
        return ""
    return SCALED_AS_TRAINED if contents.weights else SCALED


def _model(model: Model, language: bool) -> str:
    if model.folder is not None:
        head = "" if language else f"transformers = {_quoted(str(model.head))}\n"
        return f"[model]\n{head}folder = {_quoted(model.folder)}\n{'' if model.pretrained else ITSELF}"
    return f"{MODEL}function = {_quoted(model.function)}\n{_arguments(model.arguments)}{LOSS}"


def _arguments(literals: Literals) -> str:
    """Write the arguments by name: a comment where they are all defaults."""
    if not literals:
        return ""
    line = f"arguments = {{ {', '.join(f'{_key(name)} = {_toml(value)}' for name, value in literals.items())} }}"
    return f"{line}\n" if CHOOSE in literals.values() else f"# {line}    # these are its defaults\n"


def _shipped(contents: Found) -> str:
    column, inside, outside = contents.split or (None, CHOOSE, CHOOSE)
    head = LISTS if contents.split is None else "" if column is None else f"column = {_toml(column)}\n"
    members = f"{head}members = {_toml(inside)}\nnon_members = {_toml(outside)}\n"
    return f"# the very model that is to ship\n[target]\nweights = {_quoted(str(contents.weights))}\n{members}{STATED}"


def _toml(value: str | float | list[str]) -> str:
    """Write a value as TOML does."""
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    if isinstance(value, str):
        return _quoted(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _quoted(word: str) -> str:
    """Write a string of TOML; `UserError` for one that TOML cannot hold, as the name of a file that is no UTF-8."""
    good = not any("\ud800" <= letter <= "\udfff" for letter in word)
    require(good, f"{word!r} is no Unicode text, and cannot stand in an audit file", hint="rename it")
    return '"' + "".join(ESCAPES.get(letter) or _escaped(letter) for letter in word) + '"'


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _key(name: str) -> str:
    return name if name.isascii() and name.isidentifier() else _quoted(name)


ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
HEAD = """# What quantmis audits. Paths and modules are looked for beside this file; all keys: quantmis schema

{kind}[data]
{data}
{model}
# [training]                     # how the model is trained: then shadow models show what the procedure gives away
# epochs = 40
# batch_size = 32
# learning_rate = 1e-3           # or: function = "module:train"

"""
MODEL = """# function: module:Name of a torch.nn.Module class, or of a function that returns one
[model]
"""
LOSS = """loss = "cross_entropy"           # or "binary_cross_entropy" (one output), "mse", ...: quantmis list losses
"""
STATED = """# accuracy = 0.93                # what you know of it: an audit that measures another is refused
# members_accuracy = 0.99        # the same on samples that it was trained on
"""
LOSS_ON = """# loss_on = "completion"         # {}: the tokens that training scored, "completion" or "all"
"""
SIZE = """# size = 32                      # pixels of the squares that images are scaled to
"""
SCALED = """scale = "standard"               # columns of numbers to mean 0 and variance 1; or "none"
"""
SCALED_AS_TRAINED = """# scale = "standard"             # numbers to mean 0 and variance 1, if the model was trained so
"""
LISTS = """# files such as "members.txt", with a row number or an id on each line; or column = "split" and its values
"""
ITSELF = """pretrained = false               # this is the trained model: others are made like it, from random weights
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
