"""The table of formats says what is so: what it calls read is read, and what it was held against lies in the tests."""

from pathlib import Path

import numpy as np
import pytest

from quantmis.inspection.declared import DECLARED, table
from quantmis.inspection.kinds import BLOCKS, GENAI, GRAPH, KINDS, LITERT, NETWORK, RECORD
from quantmis.quantizers import QUANTIZERS
from quantmis.quantizers.formats import read
from quantmis.quantizers.formats.artefact import READERS

TOOLS = Path(__file__).parents[1] / "quantizers" / "data" / "tools"


def test_every_reader_is_declared_and_every_declared_one_is_there():
    assert READERS.keys() == KINDS.keys()
    assert {each.kind for each in DECLARED if each.kind} == {*READERS, GRAPH, BLOCKS, RECORD, NETWORK, LITERT, GENAI}


def test_every_file_of_a_tool_stands_in_the_table():
    starts = tuple(case for each in DECLARED for case in each.cases)
    assert [folder.name for folder in TOOLS.iterdir() if not folder.name.startswith(starts)] == []


@pytest.mark.parametrize("declared", [each for each in DECLARED if each.cases], ids=lambda each: each.name)
def test_what_is_declared_is_what_the_files_of_its_tool_show(declared):
    folders = [each for each in TOOLS.iterdir() if each.name.startswith(declared.cases)]
    assert folders
    for folder in folders:
        with np.load(folder / "expected.npz", allow_pickle=False) as expected:
            tool, keys = str(expected["tool"]), set(expected.keys()) - {"tool", "x", "y", "rounded"}
            files = (folder / "model.xml", folder / "model.tflite")
            path = next((each for each in files if each.exists()), folder)
            layers = {layer.name: layer for layer in read(path).layers}
            assert declared.checked.startswith(tool)
            for key in keys:
                apart = np.abs(layers[key].dequantize().numpy().reshape(expected[key].shape) - expected[key]).max()
                assert apart <= float(declared.apart) * np.abs(expected[key]).max()
        assert read(path).format == declared.kind
        rounds = bool(read(path).roundings)
        assert not rounds or declared.forward == "here, inputs rounded"


def test_quantizers_that_are_said_to_make_a_format_exist():
    names = set(QUANTIZERS.names())
    for each in DECLARED:
        for made in each.made.split(", "):
            known = made in ("-", "all") or made in names or any(name.startswith(made.rstrip("*")) for name in names)
            assert known, made


def test_the_page_is_written_from_the_declarations():
    lines = table().splitlines()
    assert len(lines) == len(DECLARED) + 2
    assert {line.count(" | ") for line in lines} == {7}
    page = (Path(__file__).parents[2] / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")
    assert "_generated/formats.md" in page
