"""The keys of the section `[data]` of an audit file, and which of them go with which kind of source."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from quantmis.data.encode import RULES, SCALES
from quantmis.data.examples import LOSS_ON
from quantmis.data.images import COLOURS
from quantmis.data.numbers import DECIMALS, THOUSANDS
from quantmis.data.texts import AT_MOST

INPUTS = ("features", "categories", "categorical", "scale")
MOLECULES = ("smiles", "fingerprint", "skip_unparsable")
NAMED = ("id", "groups", "memory")
WRITTEN = ("separator", "columns", "decimal", "thousands")
MORE_FORMS = ("prefix", "member_prefix", "corpus", "neighbours")
GOES_WITH = {
    ".csv": {"file", "target", "target_scale", *NAMED, *WRITTEN, *INPUTS, *MOLECULES},
    ".parquet": {"file", "target", "target_scale", *NAMED, *INPUTS, *MOLECULES},
    ".npz": {"file", "target", "features", *NAMED},
    "images": {"images", "size", "colour", "memory"},
    "function": {"function"},
    "texts": {"texts", "by", "column", "groups", "at_most", "longest", "loss_on", *MORE_FORMS},
}
KINDS = (".npz", ".csv", ".parquet")
TABLES = (".csv", ".parquet")
ROWS_INSTEAD = 'leave column out, and name files of row numbers or ids: members = "members.txt"'
SAVE = "np.savez(path, x=x, y=y) saves arrays; .csv and .parquet hold tables"


def _words_of(*words: str) -> Any:
    """Tell editors which words there are; whoever takes them refuses others with the nearest."""
    return Field(json_schema_extra={"enum": list(words)})


class Data(BaseModel):
    """Say where inputs and targets are: in a `file`, in a folder of `images`, in what a `function` returns, in `texts`.

    For tables: `target` names the column that is predicted, `features` those that it is predicted from (by default all
    others but `id` and `groups`), `id` the one that names samples in the report, `groups` the one of the patient,
    document or scaffold that a sample belongs to (of texts in other files than `.txt` too): those of one are in one
    training set, and count as one. `categories`: how columns of
    text become numbers, "one-hot" or "ordinal"; `categorical` names columns of numbers that are categories too.
    `scale = "standard"` brings the other columns to mean 0 and variance 1. `columns` names those of a CSV file without
    a header, `separator` is what divides them, `decimal` and `thousands` the marks in its numbers.
    `target_scale = "standard"` brings a target that is measured to mean 0 and variance 1. `smiles` names a column of
    molecules, which then are the inputs, as the `fingerprint` that is named: "ecfp", "maccs", "descriptors",
    "precomputed(file=...)", "transformer(model=...)", with parameters if wanted; copies of a molecule are removed, and
    with `skip_unparsable` what is no molecule is left out and listed. For `.npz`: `target`, `features`, `id` and
    `groups` name arrays, by default `y` and `x`. For images, in a folder per class or in such folders in `train` and
    `test`: `size` is that of the squares that they are scaled to, `colour` is "rgb" or "grey". For texts: `by` says
    what a text of a `.txt` file is, "line" or "paragraph", `column` which column or key of other files holds it,
    `loss_on` which tokens of chats and other examples are scored, `prefix` texts that the model never saw (recall),
    `member_prefix` texts that it was trained on (con_recall), `corpus` texts in which tokens are counted (dc_pdd),
    `neighbours` how many copies of each with a few tokens replaced are read (neighbourhood),
    `at_most` how many of each file are drawn, and `longest` how many tokens of each are read. `memory`: GiB that a file
    may take once it is read, by default 1 and ten times its size.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        json_schema_extra={"oneOf": [{"required": [each]} for each in ("file", "images", "function", "texts")]},
    )

    file: str | None = None
    """A .csv, .parquet or .npz file."""
    images: str | None = None
    """A folder that holds a folder of images per class."""
    function: str | None = None
    """`module:load`, a function that returns x, y or quantmis.Samples(x, y)."""
    texts: str | list[str] | None = None
    """Of a causal-lm: .txt, .jsonl, .csv or .parquet files; of packed tokens also .npy or .npz files."""
    target: str | None = None
    """The column that is predicted; of .npz the array, y by default."""
    target_scale: Annotated[str, _words_of(*SCALES)] = "none"
    """standard brings a target that is measured to mean 0 and variance 1."""
    smiles: str | None = None
    """The column of molecules, which then are the inputs."""
    fingerprint: str = "ecfp"
    """What molecules become: ecfp, maccs, descriptors, precomputed(file=...) or transformer(model=...)."""
    skip_unparsable: bool = False
    """Leave out, and list, what is no molecule."""
    features: list[str] | None = None
    """The columns that it is predicted from, in the order of the model's inputs; by default all others. Of .npz the
    array, or several, which the model takes by these names; x by default."""
    id: str | None = None
    """The column that names samples in the report, in files of members and in loss tables."""
    groups: str | None = None
    """The column of the patient, document or scaffold of a sample: those of one are in one training set."""
    categories: Annotated[str, _words_of(*RULES)] = "one-hot"
    """How columns of text become numbers: one-hot or ordinal."""
    categorical: list[str] = []
    """Columns of numbers that are categories too; the target, where its numbers are classes."""
    scale: Annotated[str, _words_of(*SCALES)] = "none"
    """standard brings columns of numbers to mean 0 and variance 1 over all rows."""
    separator: str = ","
    """What divides the columns of a CSV file."""
    columns: list[str] | None = None
    """The names of the columns of a CSV file without a header."""
    decimal: Annotated[str, _words_of(*DECIMALS)] = "."
    """The decimal mark of the numbers in a CSV file."""
    thousands: Annotated[str, _words_of(*THOUSANDS)] = ""
    """What stands between the thousands of the numbers in a CSV file."""
    memory: Annotated[float | None, Field(gt=0)] = None
    """GiB that a file may take once it is read; by default 1 and ten times its size."""
    size: int | None = None
    """Pixels of the squares that images are scaled to."""
    colour: Annotated[str, _words_of(*COLOURS)] = "rgb"
    """rgb or grey."""
    by: Annotated[str, _words_of("line", "paragraph")] = "line"
    """What a text of a .txt file is: a line or a paragraph."""
    column: str | None = None
    """The column or key of .csv, .parquet and .jsonl files that holds the texts, or that names one of several forms: by
    default whichever is there of text; messages; conversations; prompt and completion; instruction and output; chosen
    and rejected."""
    at_most: int = AT_MOST
    """How many texts of each file are drawn."""
    longest: int | None = None
    """How many tokens of each text are read."""
    prefix: str | None = None
    """A file of texts that the model never saw and that are not audited: the attack recall reads each text behind
    them."""
    member_prefix: str | None = None
    """A file of texts that the model was trained on and that are not audited, for the attack con_recall."""
    corpus: str | None = None
    """A file of texts of the same language that are not audited: the attack dc_pdd counts in it how rare a token is."""
    neighbours: Annotated[int, Field(ge=0)] = 0
    """How many copies of each text, with one in ten of its tokens replaced, are read for the attack neighbourhood: each
    is one more forward pass for every version."""
    loss_on: Annotated[str | None, _words_of(*LOSS_ON)] = None
    """Which tokens training scored: completion (the turns of the assistant, or what follows a prompt) or all; by
    default completion but for chats, as SFTTrainer does."""

    @model_validator(mode="after")
    def _one(self) -> "Data":
        if sum(each is not None for each in (self.file, self.images, self.function, self.texts)) != 1:
            choices = 'file = "data.csv", images = "folder", function = "module:load" or texts = ["texts.txt"]'
            raise PydanticCustomError("hinted", "expected one source of samples", {"hint": f"give either {choices}"})
        return self

    def kind(self) -> str:
        """Return which kind of source this is: the end of the name of a file, "images", "function" or "texts"."""
        if self.texts is not None:
            return "texts"
        return Path(self.file).suffix.lower() if self.file is not None else "images" if self.images else "function"
