"""From a matplotlib figure to SVG that is part of the page.

The page's Content-Security-Policy forbids styles on elements, and its colours change with the reader's light or dark
setting. So every style that matplotlib writes becomes a class of one shared stylesheet, and the colours that a figure
was drawn with, which only stand for roles, become the CSS variables of the page.
"""

import io
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG, LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
ROLES = ("ink", "muted", "line", "accent", "good", "paper", "shade")
COLOUR = {role: f"#0{index}0{index}0{index}" for index, role in enumerate(ROLES, 1)}
"""Colours that stand for the page's variables: `COLOUR["ink"]` is drawn as `var(--ink)`."""

DROPPED = {f"{{{SVG}}}metadata", f"{{{SVG}}}style"}
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.usetex": False,
    "axes.unicode_minus": True,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": COLOUR["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": COLOUR["ink"],
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["muted"],
    "ytick.labelcolor": COLOUR["muted"],
    "grid.color": COLOUR["line"],
    "grid.linewidth": 0.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 6,
    "font.size": 10,
}


@contextmanager
def drawing(name: str) -> Generator[None]:
    """Draw under our settings whatever the user's are; identifiers depend on `name` alone, so pages repeat exactly."""
    import matplotlib as mpl

    with mpl.rc_context({**SETTINGS, "svg.hashsalt": name}):
        yield


@dataclass
class Styles:
    """Collect the styles of all figures of a page as classes."""

    classes: dict[str, str] = field(default_factory=dict[str, str])

    def of(self, style: str) -> str:
        """Return the class that has this style."""
        return self.classes.setdefault(_themed(style), f"s{len(self.classes)}")

    def sheet(self) -> str:
        """Return the stylesheet of all classes handed out."""
        return "\n".join(f".{name}{{{style}}}" for style, name in self.classes.items())


def inline(figure: "Figure", title: str, styles: Styles, css_class: str, description: str = "") -> str:
    """Return the figure as an `<svg>` element that says `title`, and its `description`, to those who cannot see it."""
    with io.BytesIO() as stream:
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
        root = ElementTree.fromstring(stream.getvalue())  # noqa: S314 -- written by matplotlib one line above
    _prune(root)
    ids = set(re.findall(r"#(\w+)", " ".join(_references(root))))
    for element in root.iter():
        _restyle(element, styles, ids)
    _unwrap(root)
    label = f"{title}. {description}" if description else title
    root.attrib = {"viewBox": root.attrib["viewBox"], "class": f"chart {css_class}", "role": "img", "aria-label": label}
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode").replace(f' xmlns="{SVG}"', "", 1)


def _prune(element: ElementTree.Element) -> None:
    for child in list(element):
        if child.tag in DROPPED:
            element.remove(child)
        else:
            _prune(child)


def _unwrap(element: ElementTree.Element) -> None:
    """Take out groups that say nothing, and elements without content."""
    for child in list(element):
        _unwrap(child)
        place = list(element).index(child)
        if child.tag in {f"{{{SVG}}}g", f"{{{SVG}}}defs"} and (not len(child) or not child.attrib):
            inside = list(child) if child.tag.endswith("}g") or not len(child) else [child]
            element.remove(child)
            for offset, each in enumerate(inside):
                element.insert(place + offset, each)


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        yield element.get("clip-path", "")
        yield element.get(LINK, "")


def _restyle(element: ElementTree.Element, styles: Styles, ids: set[str]) -> None:
    if (style := element.attrib.pop("style", None)) is not None:
        element.set("class", styles.of(style))
    if element.get("id") not in ids:
        element.attrib.pop("id", None)
    if (link := element.attrib.pop(LINK, None)) is not None:
        element.set("href", link)
    for key in ("d", "x", "y", "transform"):
        if key in element.attrib:
            element.set(key, " ".join(re.sub(r"\d+\.\d{2,}", _rounded, element.attrib[key]).split()))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]
    if "d" in element.attrib:  # after M and L, pairs of numbers are lines
        element.set("d", re.sub(r" ?([MLz]) ?", r"\1", re.sub(r"(?<=\d) L (?=[-\d])", " ", element.attrib["d"])))
    element.text, element.tail = (part if part and part.strip() else None for part in (element.text, element.tail))


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def _themed(style: str) -> str:
    parts = (part.strip() for part in style.split(";"))
    css = ";".join(_font(part) for part in parts if part and not part.startswith("font-family"))
    for role, colour in COLOUR.items():
        css = css.replace(colour, f"var(--{role})")
    return css.replace(": ", ":")


def _font(part: str) -> str:
    if not part.startswith("font:"):
        return part
    weight = ";font-weight:700" if re.search(r"\b(bold|700)\b", part) else ""
    size = re.search(r"[\d.]+px", part)
    return f"font-size:{size[0] if size else '10px'}{weight}"
