"""Claims about errors, seeds, the registry and the loss table."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantmis import seeds
from quantmis.data import complementary_halves
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.quantizers import QUANTIZERS, Ternary, Uniform
from quantmis.registry import Registry, spelling


def test_an_address_names_the_same_stream_in_any_order():
    forward = [seeds.generator(7, "shadow", i).random() for i in range(5)]
    backward = [seeds.generator(7, "shadow", i).random() for i in reversed(range(5))]
    assert forward == backward[::-1]


def test_addresses_that_look_alike_are_different():
    addresses = [("a", "b"), ("ab",), ("a", "b", ""), ("3",), (3,), ("a/b",)]
    assert len({seeds.integer(0, *address) for address in addresses}) == len(addresses)
    assert seeds.integer(0, "a") != seeds.integer(1, "a")


@given(st.integers(), st.lists(st.text() | st.integers(), max_size=4))
def test_every_address_gives_a_seed_that_torch_accepts(seed: int, address: list[str | int]):
    assert 0 <= seeds.integer(seed, *address) < 2**63


def test_a_spelling_is_read_back_as_the_same_object():
    for quantizer in (Ternary(sparsity=0.9), Uniform(bits=4), Uniform(bits=2, per="channel")):
        assert QUANTIZERS.parse(spelling(quantizer)) == quantizer
    assert spelling(Uniform(bits=4, per="channel")) == 'uniform(bits=4, per="channel")'


@pytest.mark.parametrize(
    ("spelled", "message", "hint"),
    [
        ("ternery(sparsity=0.5)", "unknown quantizer 'ternery'", "did you mean 'ternary'?"),
        ("uniform(bit=4)", "uniform", "bits"),
        ("uniform(4)", "cannot read the quantizer 'uniform(4)'", "parameter=value"),
        ("uniform(bits=", "cannot read the quantizer", "parameter=value"),
        ("ternary", "sparsity", "sparsity"),
        ("__import__('os')", "cannot read the quantizer", "write a name"),
        ("os(x=1)", "unknown quantizer 'os'", "known"),
        ("", "cannot read the quantizer ''", "write a name"),
        ("uniform(bits=9)", "bits must lie between 2 and 8, got 9", ""),
        ("ternary(sparsity=1.5)", "sparsity must lie between", ""),
        ('uniform(bits=4, per="row")', "per: Input should be 'tensor' or 'channel'", "per"),
        ('uniform(bits="four")', "bits", ""),
        ("uniform(bits=2.5)", "bits", ""),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_a_remedy(spelled: str, message: str, hint: str):
    with pytest.raises(UserError) as refused:
        QUANTIZERS.parse(spelled)
    assert message in str(refused.value)
    assert hint in (refused.value.hint or "")


def test_a_value_may_itself_be_a_registered_name():
    @dataclass(frozen=True)
    class Wrapper:
        name: ClassVar[str] = "wrapper"
        of: object = None

    registry: Registry[object] = Registry("thing", "quantmis.none")
    registry.add(Wrapper)
    nested = registry.parse("wrapper(of=wrapper(of=3))")
    assert nested == Wrapper(of=Wrapper(of=3))
    assert spelling(nested) == "wrapper(of=wrapper(of=3))"


def test_the_twin_of_a_row_is_its_complement(rng: np.random.Generator):
    member = complementary_halves(6, 10, rng)
    order = rng.permutation(6)
    table = Evidence(rng.random((6, 10)), member[order])
    assert (member[order][table.twin] == ~member[order]).all()
    assert Evidence(rng.random((2, 10)), member[[0, 2]]).twin.tolist() == [-1, -1]


def test_rows_and_columns_cut_every_table_alike(rng: np.random.Generator):
    table = Evidence(
        rng.random((4, 6)), rng.random((4, 6)) > 0.5, signal=rng.random((4, 6)), label=np.arange(6), entropy=None
    )
    part = table.rows([1, 3]).columns(table.label > 2)
    assert part.losses.tolist() == table.losses[[1, 3]][:, 3:].tolist()
    assert part.signals.tolist() == table.signals[[1, 3]][:, 3:].tolist()
    assert part.label is not None
    assert part.label.tolist() == [3, 4, 5]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["losses", "signal", "entropy"])
def test_a_number_that_is_none_never_enters_the_table(where: str, bad: float):
    tables = {name: np.zeros((2, 3)) for name in ("losses", "signal", "entropy")}
    tables[where][1, 2] = bad
    with pytest.raises(UserError, match=rf"{where}: 1 entries.*\[1, 2\]"):
        Evidence(member=np.ones((2, 3), dtype=bool), **tables)


@pytest.mark.usefixtures("unchecked")
def test_tables_of_other_shapes_are_refused():
    member = np.ones((2, 3), dtype=bool)
    with pytest.raises(UserError, match="at least one of each"):
        Evidence(np.zeros((0, 3)), member[:0])
    with pytest.raises(UserError, match="label"):
        Evidence(np.zeros((2, 3)), member, label=np.arange(2))
    with pytest.raises(UserError, match=r"losses\[None, :\]|at least one of each"):
        Evidence(np.zeros(3), member[0])
    with pytest.raises(UserError, match="booleans"):
        Evidence(np.zeros((2, 3)), member.astype(int))
    with pytest.raises(UserError, match=r"member: expected shape \(2, 3\)"):
        Evidence(np.zeros((2, 3)), member[:, :2])
