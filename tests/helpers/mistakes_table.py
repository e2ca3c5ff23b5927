"""A hundred mistakes of new users: what is done, what must stand in the one line of the answer, and in its hint.

`mended` does what the hint says, and must then work. Files are those of `first_audit`; nothing here trains a model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from first_audit import GOOD, POLICY, TABLE
from torch import nn
from typer.testing import CliRunner

import quantmis as qm
from quantmis.audit.config.running import asked_of
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.run import checked
from quantmis.cli import app
from quantmis.gate.policy import parse

Act = Callable[[Path], object]


@dataclass(frozen=True)
class Mistake:
    """Hold what somebody does, parts of the message and of the hint, and what works instead."""

    name: str
    make: Act
    message: str
    hint: str
    mended: Act | None = None


def prepared(task: qm.Task, samples: qm.Samples, target: qm.Target | None = None, **options: Any) -> object:
    """Do all that `qm.audit` does before it trains."""
    objects = {name: options.pop(name, None) for name in ("quantizers", "attacks")}
    return checked(audit_request(task, samples, target, AuditOptions.of(**options), **objects))


def audit_of(text: str) -> Act:
    """Do all that `quantmis audit` does with an audit file before it trains."""

    def act(folder: Path) -> object:
        (folder / "audit.toml").write_text(text)
        _, options, described = asked_of(folder / "audit.toml", folder / "audit", {})
        return checked(audit_request(*described, options))

    return act


def wrong(old: str, new: str, message: str, hint: str, mended: str | None = None, base: str = GOOD) -> Mistake:
    """Return the mistake of writing `new` for `old` in an audit file, which `mended` in its place puts right."""
    assert old in base
    again = None if mended is None else audit_of(base.replace(old, mended))
    return Mistake(f"{old} -> {new}", audit_of(base.replace(old, new)), message, hint, again)


def in_table(old: str, new: str, message: str, hint: str, mended: str | None = None) -> Mistake:
    """Return such a mistake in the audit file of a table and of a model that is there."""
    return wrong(old, new, message, hint, mended, TABLE)


def command(line: str, message: str, hint: str, mended: str | None = None) -> Mistake:
    """Return the mistake of a command line, run in the folder of the files."""
    return Mistake(line, lambda _: run(line), message, hint, None if mended is None else lambda _: run(mended))


def run(line: str) -> None:
    """Run a command; what it raises is what its caller sees, exit code 2 and all."""
    done = CliRunner().invoke(app, line.split())
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output


def policy(text: str, message: str, hint: str, mended: str | None = None) -> Mistake:
    """Return the mistake of a policy."""
    again = None if mended is None else lambda _: parse(mended.encode())
    return Mistake(text, lambda _: parse(text.encode()), message, hint, again)


X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
Y = np.arange(60) % 2


def net(features: int = 4, outputs: int = 2) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, outputs))


ONE = net()
SAMPLES = qm.Samples(X, Y)
TASK = qm.Task(net, recipe=qm.Recipe(epochs=1))
AS_IS = qm.Task(net)


def python(name: str, make: Callable[[], object], message: str, hint: str, mended: Callable[[], object] | None = None):
    """Return the mistake of a call in Python."""
    return Mistake(name, lambda _: make(), message, hint, None if mended is None else lambda _: mended())


def few(**options: Any) -> Callable[[], object]:
    """Return the audit of four models by one attack, with other options."""
    usual = {"shadows": 4, "quantizers": ["sign"], "attacks": ["loss_threshold"]}
    return lambda: prepared(TASK, SAMPLES, **{**usual, **options})


def as_is(*rows: Any, model: Any = None, task: qm.Task = AS_IS, samples: qm.Samples = SAMPLES, **words: Any):
    """Return the audit of a model that is there, by its members and non-members."""
    members, others = rows or (range(30), range(30, 60))
    return lambda: prepared(
        task, samples, qm.Target(net() if model is None else model, members, others, **words), quantizers=["sign"]
    )


def evidence(models: int = 1, samples: int = 60, **fields: Any) -> qm.Evidence:
    return qm.Evidence(np.ones((models, samples)), np.arange(samples)[None].repeat(models, 0) % 2 < 1, **fields)


AUDIT_FILES = [
    wrong("[data]", "[dat]", "unknown key dat", "did you mean 'data'", "[data]"),
    wrong('file = "data.npz"', "", "expected one source of samples", 'file = "data.csv"', 'file = "data.npz"'),
    wrong("[model]", "[[model]]", "model", "[model]", "[model]"),
    wrong("data.npz", "dta.npz", "dta.npz", "data.npz", "data.npz"),
    wrong(
        "data.npz",
        "names.npz",
        "inputs, labels, not ['x']",
        'features = ["inputs"]',
        'names.npz"\nfeatures = ["inputs"]\ntarget = "labels',
    ),
    wrong("data.npz", "x.npy", "data.file", "np.savez"),
    wrong("data.npz", "model.pt", "data.file", "np.savez"),
    wrong("data.npz", "people.csv", "data.target", "income"),
    wrong('file = "data.npz"', 'function = "own_net:laod"', "laod", "load", 'function = "own_net:load"'),
    wrong('file = "data.npz"', 'function = "own_nett:load"', "own_nett", "own_net", 'function = "own_net:load"'),
    wrong(
        'file = "data.npz"', 'function = "own_net.load"', "own_net.load", "own_net:load", 'function = "own_net:load"'
    ),
    wrong('file = "data.npz"', 'function = "own_net:only_inputs"', "own_net:only_inputs", "x, y"),
    wrong('file = "data.npz"', 'texts = ["people.csv"]', "language model", 'kind = "causal-lm"'),
    wrong('file = "data.npz"', 'images = "data.npz"', "data.images", "folder"),
    wrong("own_net:Net", "own_net:Nett", "Nett", "Net", "own_net:Net"),
    wrong("own_net:Net", "own_net:one", "no class or function", "name the class", "own_net:Net"),
    wrong("own_net:Net", "own_net:same", "the same weights", "build the model inside"),
    wrong('function = "own_net:Net"', "", "function", "my_module", 'function = "own_net:Net"'),
    wrong('function = "own_net:Net"', 'function = "own_net:Net"\narguments = { width = 3 }', "width", "arguments"),
    wrong(
        'function = "own_net:Net"', 'function = "own_net:Net"\narguments = { features = 5 }', "cannot take x", "x[i]"
    ),
    wrong(
        'function = "own_net:Net"',
        'function = "own_net:Net"\narguments = { outputs = 1 }',
        "at least 2 outputs",
        "binary_cross_entropy",
    ),
    wrong(
        "cross_entropy", "crossentropy", "unknown loss 'crossentropy'", "did you mean 'cross_entropy'", "cross_entropy"
    ),
    wrong("cross_entropy", "binary_cross_entropy", "binary_cross_entropy", "cross_entropy", "cross_entropy"),
    wrong("cross_entropy", "mse", "[60, 1] for 60 samples", 'loss = "cross_entropy"', "cross_entropy"),
    wrong("epochs", "epoch", "unknown key training.epoch", "did you mean 'epochs'", "epochs"),
    wrong("epochs = 1", 'epochs = "1"', "training.epochs", "Passes over the samples", "epochs = 1"),
    wrong("epochs = 1", "epochs = 0", "epochs: expected at least 1, got 0", "Passes over the samples", "epochs = 1"),
    wrong("learning_rate = 0.01", "learning_rate = -1", "learning_rate", "The learning rate", "learning_rate = 0.1"),
    wrong("learning_rate = 0.01", "lr = 0.01", "unknown key training.lr", "learning_rate", "learning_rate = 0.01"),
    wrong("learning_rate = 0.01", 'optimizer = "adamm"', "adamm", "adam", 'optimizer = "adam"'),
    wrong("learning_rate = 0.01", 'function = "own_net:train"', "a function trains in its own way", "epochs"),
    wrong(
        "epochs = 1\nlearning_rate = 0.01", 'function = "own_net:trian"', "trian", "train", 'function = "own_net:train"'
    ),
    wrong(
        "[training]\nepochs = 1\nlearning_rate = 0.01", "", "no section [training]", "write [training]", "[training]"
    ),
    wrong('["sign"]', '["sgin"]', "unknown quantizer 'sgin'", "did you mean 'sign'", '["sign"]'),
    wrong('["sign"]', '"sign"', "audit.quantizers", '["sign"]', '["sign"]'),
    wrong('["sign"]', '["sign", "sign"]', "asked for twice", "once", '["sign"]'),
    wrong('["sign"]', '["uniform"]', "bits", "its parameters: bits", '["uniform(bits=4)"]'),
    wrong('["sign"]', '["uniform(4)"]', "uniform(4)", "parameter=value", '["uniform(bits=4)"]'),
    wrong('["sign"]', '["uniform(bit=4)"]', "bit", "bits", '["uniform(bits=4)"]'),
    wrong('["sign"]', '["uniform(bits=33)"]', "bits must lie between", "bits"),
    wrong('["sign"]', '["ternary(sparsity=90)"]', "sparsity", "sparsity", '["ternary(sparsity=0.9)"]'),
    wrong('["sign"]', '["q4_k_s"]', "unknown quantizer 'q4_k_s'", "llama.cpp"),
    wrong('["loss_threshold"]', '["lra"]', "unknown attack 'lra'", "did you mean 'lira'"),
    wrong('["loss_threshold"]', "[]", "attacks: expected at least one", "known: ", '["loss_threshold"]'),
    wrong('["loss_threshold"]', '["min_k"]', "min_k", "causal-lm"),
    wrong("shadows = 4", "shadows = 5", "even number, got 5", "complementary pairs", "shadows = 6"),
    wrong("shadows = 4", "shadow = 4", "unknown key audit.shadow", "did you mean 'shadows'", "shadows = 4"),
    wrong("shadows = 4", "shadows = 4\nlevel = 95", "level", "0.95", "shadows = 4\nlevel = 0.95"),
    wrong(
        "shadows = 4",
        "shadows = 4\nheld_out = 1.0",
        "held_out: expected a fraction",
        "the share of the samples",
        "shadows = 4\nheld_out = 0.5",
    ),
    wrong("shadows = 4", 'depth = "asis"', "unknown depth 'asis'", "as-is"),
    wrong("shadows = 4", 'depth = "indicator"\nshadows = 4', "does not fit", "indicator trains replicates only"),
    wrong("shadows = 4", 'shadows = 4\nengine = "fast"', "unknown engine 'fast'", "known: "),
    wrong("shadows = 4", 'shadows = 4\nexecutor = "slurm"', "unknown executor 'slurm'", "known: "),
    wrong("shadows = 4", "shadows = 4\ncanaries = 3", "canaries: expected an even number, got 3", "pairs"),
    wrong("shadows = 4", "shadows = 4\nreplicates = 1", "replicates: expected an even number", "pairs"),
    wrong("shadows = 4", "shadows = four", "is no TOML", "quotes", "shadows = 4"),
]

TABLES = [
    in_table('"income"', '"incom"', "no column 'incom'", "did you mean 'income'", '"income"'),
    in_table('"person"', '"persn"', "no column 'persn'", "did you mean 'person'", '"person"'),
    in_table('scale = "standard"', 'scale = "z"', "z", "standard", 'scale = "standard"'),
    in_table('scale = "standard"', 'features = ["age", "income"]', "is the target", "take it out of features"),
    in_table('scale = "standard"', 'separator = ";"', "one column", "','"),
    in_table("model.safetensors", "modl.safetensors", "modl.safetensors", "model.safetensors", "model.safetensors"),
    in_table("model.safetensors", "model.pt", "more than tensors", "save_file"),
    in_table("model.safetensors", "members.txt", "no safetensors file", "save it again"),
    in_table('"split"', '"splt"', "no column 'splt'", "did you mean 'split'", '"split"'),
    in_table('"train"', '"training"', "training", "train", '"train"'),
    in_table('"test"', '"train"', "both members and non-members", "trained on or was not", '"test"'),
    in_table('column = "split"\n', "", "train", "members.txt"),
    in_table("features = 3", "features = 4", "cannot take x", "one sample is x[i]", "features = 3"),
    in_table("[target]", "[target]\naccuracy = 93", "accuracy", "0.93"),
    in_table("[target]", "[tarjet]", "unknown key tarjet", "target", "[target]"),
    in_table('["sign"]', '["sign"]\nattacks = ["lira"]', "as-is audit trains none", "depth"),
    in_table('["sign"]', '["sign"]\nshadows = 8', "no section [training]", "as-is"),
    in_table('members = "train"', "", "target.members is missing", "members"),
]

PYTHON = [
    python("Task(model)", lambda: qm.Task(ONE), "got a model", "qm.Target(model", lambda: qm.Task(net)),
    python("lambda: one model", lambda: prepared(qm.Task(lambda: ONE), SAMPLES), "the same weights", "copy.deepcopy"),
    python("Task(list)", lambda: prepared(qm.Task(lambda: [1]), SAMPLES), "expected it to return", "return MyModel"),  # type: ignore
    python("Task(loss=ce)", lambda: qm.Task(net, loss="ce"), "unknown loss 'ce'", "cross_entropy"),
    python("Task(loss=nn loss)", lambda: qm.Task(net, loss=nn.CrossEntropyLoss()), "CrossEntropyLoss", "cross_entropy"),  # type: ignore
    python("lazy", lambda: prepared(qm.Task(lambda: nn.LazyLinear(2)), SAMPLES), "no size", "give the sizes"),
    python(
        "no Recipe", lambda: qm.Task(net, recipe={"epochs": 3}), "recipe: expected a Recipe", "qm.Recipe(epochs=30)"
    ),  # type: ignore
    python("Recipe(epochs=0)", lambda: qm.Recipe(epochs=0), "epochs: expected at least 1", "Passes"),
    python("Recipe(epochs=1.5)", lambda: qm.Recipe(epochs=1.5), "expected a whole number", "Passes"),  # type: ignore
    python("Recipe(momentum=9)", lambda: qm.Recipe(momentum=9), "momentum: expected 0 to below 1", "sgd"),
    python("samples: pair", lambda: prepared(TASK, (X, Y)), "qm.Samples", "qm.Samples(x, y)", lambda: qm.Samples(X, Y)),  # type: ignore
    python("few", lambda: qm.Samples(X[:10], Y[:10]), "at least 20 samples, got 10", "half of them"),
    python("lengths", lambda: qm.Samples(X, Y[:50]), "x has 60 samples, y has 50", "row i of y"),
    python("NaN", lambda: qm.Samples(np.where(X > 2, np.nan, X), Y), "NaN or infinity", "impute"),
    python(
        "text", lambda: qm.Samples(X, Y.astype(str)), "y: expected numbers", "into numbers", lambda: qm.Samples(X, Y)
    ),
    python("one-hot", lambda: prepared(TASK, qm.Samples(X, np.eye(2)[Y])), "one integer label per sample", "argmax"),
    python("labels from 1", lambda: prepared(TASK, qm.Samples(X, Y + 1)), "label", "0"),
    python(
        "labels of floats", lambda: prepared(TASK, qm.Samples(X, Y + 0.5)), "one integer label per sample", 'loss="mse"'
    ),
    python("width", lambda: prepared(TASK, qm.Samples(X[:, :3], Y)), "cannot take x[:", "x[i]"),
    python("doubles of ints", lambda: prepared(TASK, qm.Samples((9 * X).astype(int), Y)), "cannot take x", "astype"),
    python("transposed", lambda: qm.Samples(X.T, Y), "x has 4 samples, y has 60", "row i of y"),
    python("ids twice", lambda: qm.Samples(X, Y, ids=["a"] * 60), "stand for several samples", "leave ids out"),
    python("ids short", lambda: qm.Samples(X, Y, ids=["a"]), "ids: expected one per sample", "row"),
    python("groups short", lambda: qm.Samples(X, Y, groups=[1, 2]), "groups: expected one per sample", "row"),
    python("quantizer int", few(quantizers=[8]), "quantizers", "int8", few(quantizers=["int8"])),
    python("quantizers str", few(quantizers="int8"), "quantizers", '["int8"]', few(quantizers=["int8"])),
    python("attacks str", few(attacks="lira"), "attacks", '["lira"]'),
    python("shadows odd", few(shadows=3), "even number, got 3", "pairs", few(shadows=4)),
    python("shadows str", few(shadows="four"), "shadows", "How many models", few(shadows=4)),
    python("level", few(level=95), "level", "0.95", few(level=0.95)),
    python(
        "held_out", few(held_out=2.0), "held_out: expected a fraction", "the share of the samples", few(held_out=0.5)
    ),
    python("checkpoints", few(checkpoint_every=0), "checkpoint_every", "Epochs after which"),
    python("memory", few(memory=0), "memory", "GiB"),
    python("target: rows beyond", as_is(range(30), range(30, 90)), "there is no row 89", "count from 0", as_is()),
    python("target: both", as_is(range(40), range(30, 60)), "both members and non-members", "trained on or was not"),
    python("target: few", as_is(range(5), range(30, 60)), "at least 16, got 5", "hundreds"),
    python("target: labels", as_is(["a"] * 30, range(30, 60)), "members", "row"),
    python(
        "target: mask",
        as_is(np.ones(30, bool), ~np.ones(30, bool)),
        "non_members: expected at least 16, got 0",
        "hundreds",
    ),
    python("target: path", as_is(model="nowhere.safetensors"), "nowhere.safetensors", "model.safetensors"),
    python("target: architecture", as_is(model=net(4, 3).state_dict()), "2.weight is [3, 8]", "built exactly"),
    python("target: identity", as_is(versions={"identity": net()}), "identity is full precision", "differently"),
    python("target: number", as_is(versions={"int8": 8}), "int8: expected a version, got int", "state dict"),
    python("target: overlap", as_is(overlap="ignore"), "overlap: expected 'refuse' or 'drop'", "drop"),
    python("target: utility", as_is(utility=93), "at most 1", "0.93", as_is(utility=0.5)),
    python("read_samples", lambda: qm.read_samples("people.csv", targt="income"), "unknown key targt", "target"),
    python("from_json", lambda: qm.AuditResult.from_json('{"a": 1}'), "expected a path", "results.json"),
    python("tables: no identity", lambda: qm.audit_tables({"int8": evidence()}), "'identity'", '{"identity": full'),
    python(
        "tables: shapes",
        lambda: qm.audit_tables({"identity": evidence(), "a": evidence(samples=50)}),
        "a: its models and samples",
        "in one order",
    ),
    python("evidence 1-D", lambda: qm.Evidence(np.ones(3), np.ones(3, bool)), "losses", "losses[None, :]"),
    python("evidence 0/1", lambda: qm.Evidence(np.ones((1, 3)), np.ones((1, 3))), "booleans", "astype(bool)"),
    python("evidence NaN", lambda: qm.Evidence(np.full((1, 3), np.nan), np.ones((1, 3), bool)), "NaN", "leave"),
    python(
        "evidence shape",
        lambda: qm.Evidence(np.ones((1, 3)), np.ones((1, 4), bool)),
        "member: expected shape (1, 3)",
        "a row for each model",
    ),
]

COMMANDS = [
    command("audit good", "good", "quantmis init"),
    command("audit data.npz", "data.npz", "quantmis init"),
    command("audit nowhere.toml", "nowhere.toml", "name an audit file"),
    command("audit good.toml --shadows 5", "even number", "pairs"),
    command("audit good.toml --engine fast", "unknown engine", "known"),
    command("audit good.toml --out .", "holds", "--out"),
    command("plan policy.toml", "unknown key limits", "known: kind"),
    command("gate . --policy policy.toml", "results.json", "run the audit first"),
    command("gate nowhere --policy policy.toml", "nowhere", "run the audit first"),
    command("gate . --policy nowhere.toml", "nowhere.toml", "--example", "gate --example"),
    command("gate . --policy good.toml", "unknown key data", "known: version"),
    command("report .", "results.json", "run the audit first"),
    command("report . --format docx", "docx", "pdf"),
    command("list quantiser", "quantiser", "did you mean 'quantizers'", "list quantizers"),
    command("inspect nowhere", "there is no file nowhere", "beside it there is"),
    command("schema audits", "audits", "audit", "schema audit"),
    command("init nowhere", "there is no folder nowhere", "name the folder"),
    command("compare . good.toml", "results.json", "run the audit first"),
    command("verify .", "results.json", "run the audit first"),
    command("reproduce admit", "admit", "admet"),
]

POLICIES = [
    policy("[limits]\n", "sets no limit", "example"),
    policy("[limit]\na = 1", "unknown key limit", "did you mean 'limits'", POLICY),
    policy("[limits]\nattack_acuracy_at_most = 0.6", "unknown key", "attack_accuracy_at_most", POLICY),
    policy("[limits]\nattack_accuracy_at_most = 60", "less than or equal to 1, got 60", "right", POLICY),
    policy("[limits]\nattack_accuracy_at_least = 0.6", "unknown key", "attack_accuracy_at_most", POLICY),
    policy('[limits]\nattack_accuracy_at_most = "0.6"', "valid number", "right", POLICY),
    policy("attack_accuracy_at_most = 0.6", "unknown key", "[limits]", POLICY),
]

MISTAKES = [*AUDIT_FILES, *TABLES, *PYTHON, *COMMANDS, *POLICIES]
