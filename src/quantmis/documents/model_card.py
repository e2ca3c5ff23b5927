"""The audit as a section of a Hugging Face model card.

The section stands between two markers. An existing card keeps every other byte of its own, metadata and line ends
included; the section is replaced where it stands already, so that the same audit merged twice gives the same card.
"""

from pathlib import Path

import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK
from huggingface_hub.utils import logging

from quantmis.documents.markdown import body, plain, table
from quantmis.documents.source import Source
from quantmis.errors import UserError, require
from quantmis.files import content_of
from quantmis.report.expectations import rows, summary

LARGEST = 10**7
"""Bytes of the longest card that is read."""

BEGIN = "<!-- quantmis privacy audit: begin. This section is written by `quantmis report --format model-card` -->"
END = "<!-- quantmis privacy audit: end -->"
NO_CONCLUSION = "Expectations are told in our own words. No row says that the model is anonymous or its use lawful."
logging.set_verbosity_error()  # a card without metadata is no news
NEW = "---\ntags:\n- privacy-audit\n- membership-inference\n---\n\n# {model}\n\n{section}\n"


def render(source: Source) -> bytes:
    """Return a new model card that holds nothing but the audit."""
    content = NEW.format(model=plain(source.results.config.model), section=section(source))
    _metadata(content, "the new card")
    return content.encode()


def section(source: Source) -> str:
    """Return the section with its markers."""
    return f"{BEGIN}\n## Privacy audit\n\n{body(source, level=3)}\n\n{_expectations(source)}\n{END}"


def _expectations(source: Source) -> str:
    """Return a table of what each framework expects and how it stands."""
    parts = [f"### What is expected, and what was measured\n\n{NO_CONCLUSION}"]
    for framework in source.every_framework:
        answers = [
            [plain(each) for each in (row.expectation.id, row.expectation.expects, row.standing, row.finding)]
            for row in rows(framework, source.results)
        ]
        name = plain(summary(framework, source.results))
        parts.append(f"{name}\n\n{table(['Place', 'Expected', 'Stands', 'Found'], answers)}")
    return "\n\n".join(parts)


def merge_into(path: Path, source: Source) -> bytes:
    """Return the card at `path` with the section of this audit; `UserError` for what is no model card."""
    try:
        before = content_of(path, most=LARGEST).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no model card: it is not UTF-8 text", hint="name a Markdown file") from error
    after = merged(before, section(source), str(path))
    require(
        _metadata(before, str(path)) == _metadata(after, str(path)),
        f"{path}: its metadata would not survive",
        hint="the metadata block must stand at the very beginning, between two lines of three dashes",
    )
    return after.encode()


def merged(card: str, section: str, name: str = "the card") -> str:
    r"""Return the card with the section in place of the one it holds, or at its end.

    >>> once = merged("# My model\n", f"{BEGIN}\nnumbers\n{END}")
    >>> once.startswith("# My model\n\n<!--"), merged(once, f"{BEGIN}\nnumbers\n{END}") == once
    (True, True)
    """
    counts = (card.count(BEGIN), card.count(END))
    sound = counts == (0, 0) or (counts == (1, 1) and card.index(BEGIN) < card.index(END))
    hint = "leave one line of each, in order, or remove them all"
    require(sound, f"{name} has {counts[0]} beginnings and {counts[1]} ends of a privacy audit", hint=hint)
    ending = "\r\n" if 2 * card.count("\r\n") > card.count("\n") else "\n"
    block = section.replace("\n", ending)
    if counts == (1, 1):
        return card[: card.index(BEGIN)] + block + card[card.index(END) + len(END) :]
    return f"{card}{_gap(card, ending)}{block}{ending}"


def _gap(card: str, ending: str) -> str:
    """Return the line ends that make an empty line behind the card."""
    ends = sum(card.endswith(ending * count) for count in (1, 2))
    return ending * (2 - ends) if card else ""


def _metadata(card: str, name: str) -> dict[str, object]:
    """Return the metadata of a card as the Hugging Face Hub reads it; `UserError` where it does not."""
    block = REGEX_YAML_BLOCK.search(card.removeprefix("\N{BYTE ORDER MARK}"))
    try:
        aliases = block and any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(block[2]))
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(
            f"{name} is no model card that Hugging Face reads: {error}", hint="mend its metadata"
        ) from error
    require(not aliases, f"{name}: its metadata refer to themselves", hint="write out what *names stand for")
    try:
        return ModelCard(card.removeprefix("\N{BYTE ORDER MARK}")).data.to_dict()
    except Exception as error:  # the parser of YAML has errors of its own
        raise UserError(
            f"{name} is no model card that Hugging Face reads: {error}", hint="mend its metadata"
        ) from error
