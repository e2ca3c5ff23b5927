"""Formulas as MathML, which browsers draw and screen readers read, with no script and no network."""

from typing import Any

from latex2mathml.converter import convert
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer to the configuration, as `mathml`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))  # pyright: ignore[reportArgumentType]
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(writer: Any, node: Any) -> None:
    _write(writer, convert(node.astext()))


def _block(writer: Any, node: Any) -> None:
    _write(
        writer,
        f'<div style="overflow: auto hidden; padding-block: 0.4em">{convert(node.astext(), display="block")}</div>',
    )


def _write(writer: Any, markup: str) -> None:
    from docutils.nodes import SkipNode

    writer.body.append(markup)
    raise SkipNode
