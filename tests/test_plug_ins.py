"""Names of quantizers: parameters that are quantizers of other libraries, and third parties whose package is broken."""

from importlib.metadata import EntryPoint

import pytest

from quantmis.cli.catalogue import catalogue
from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, MatchedNoise, Sign, TorchaoInt8Dynamic, TorchaoIntx
from quantmis.registry import Registry, spelling


def test_a_parameter_may_be_a_quantizer_with_a_dot_in_its_name():
    for quantizer in (MatchedNoise(of=TorchaoInt8Dynamic()), MatchedNoise(of=TorchaoIntx(bits=4))):
        assert QUANTIZERS.parse(spelling(quantizer)) == quantizer
    with pytest.raises(UserError, match=r"unknown quantizer 'torchao\.int9'"):
        QUANTIZERS.parse("matched_noise(of=torchao.int9)")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> str:
    points = [
        EntryPoint("broken", "no_such_module:Nothing", "quantmis.quantizers"),
        EntryPoint("odd", "math:pi", "quantmis.quantizers"),
    ]
    monkeypatch.setattr(Registry, "_points", lambda self: points)
    return "broken"


def test_a_third_party_that_cannot_be_imported_is_named_when_it_is_used(broken: str):
    with pytest.raises(UserError, match="the quantizer 'broken' cannot be loaded: No module named") as refused:
        QUANTIZERS.parse(broken)
    assert "no_such_module:Nothing" in str(refused.value.hint)
    with pytest.raises(UserError, match=r"the quantizer 'odd' is no dataclass with a name but 3\.14"):
        QUANTIZERS.parse("odd")


def test_the_list_shows_what_is_wrong_with_it_and_all_others(broken: str):
    table = catalogue("quantizers")
    cells = {column.header: list(column.cells) for column in table.columns}
    assert {broken, "odd", "sign", "torchao.intx"} <= set(cells["quantizer"])
    row = cells["quantizer"].index(broken)
    assert "cannot be loaded" in cells["what it does"][row]


def test_the_list_says_levels_needs_and_whether_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("quantmis.quantizers.base.find_spec", lambda name: None)
    table = catalogue("quantizers")
    rows = dict(
        zip(table.columns[0].cells, zip(*(column.cells for column in table.columns[1:]), strict=True), strict=True)
    )
    assert rows["sign"][1:4] == ("2", "", "yes")
    assert rows["gptq"][1:4] == ("2^bits", "calibration", "yes")
    assert rows["bitsandbytes.linear4bit"][1:4] == ("16", r"\[bnb]", "no")
    assert all(levels for _, levels, *_ in rows.values())
    assert Sign.levels_per_weight == "2"
