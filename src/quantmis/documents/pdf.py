"""The report as a PDF, laid out by WeasyPrint from the same page that browsers show.

WeasyPrint draws a figure without the styles of the page around it, and knows neither the script nor the colours of a
dark screen. So the figures are given their styles in the colours of paper, and a sheet for paper sets what else
differs. Nothing is fetched while the page is laid out: no network, no file.
"""

import logging
import re

from weasyprint import HTML
from weasyprint.urls import URLFetcher

from quantmis.documents.source import Source
from quantmis.report.html import render as page

SHEET = """
@page { size: A4; margin: 18mm 16mm 20mm;
  @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt; color: #55606c; } }
html { font-size: 9.5pt; }
body { padding: 0; max-width: none; font-family: "Liberation Sans", "DejaVu Sans", Arial, sans-serif; }
p, dd, li, caption span, figcaption, .verdict p { max-width: none; }
.verdict { padding: 12pt 16pt; }
.verdict .headline { font-size: 13pt; }
h1 { font-size: 20pt; }
nav, .skip, .filter, script, svg.narrow { display: none; }
section { margin-top: 18pt; }
h2, h3 { break-after: avoid; }
figure, tr, .verdict p { break-inside: avoid; }
table { font-size: 7.5pt; width: 100%; }
th, td, thead th, tbody th, .verdict td:last-child { min-width: 0; padding: 3pt 5pt 3pt 0; overflow-wrap: break-word; }
thead th { overflow-wrap: normal; }
tbody th { width: 34mm; }
.numbered tbody th { padding-left: 14pt; }
.panels { display: block; }
.panels figure { display: inline-block; width: 48%; margin: 0 1% 8pt 0; max-width: none; vertical-align: top; }
svg.panel { width: 55%; max-width: none; }
.panels svg.panel { width: 100%; }
"""
for _name in ("weasyprint", "fontTools"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # a property that only browsers know is no news


def render(source: Source) -> bytes:
    """Return the report of an audit as a PDF."""
    return layout(page(source.results, source.document))


def layout(html: str) -> bytes:
    """Return a page of ours as a PDF."""
    document = HTML(string=styled(html), url_fetcher=URLFetcher(allowed_protocols=["data"]), media_type="print")
    return document.write_pdf(pdf_tags=True) or b""


def styled(html: str) -> str:
    """Return the page with a sheet for paper, and in each figure its styles in the colours of paper."""
    css = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    rules = "".join(re.findall(r"^\.s\d+\{.*\}$", css, re.MULTILINE))
    style = (
        f"<style>text {{ font-family: 'Liberation Sans', 'DejaVu Sans', sans-serif; }}{_on_paper(rules, css)}</style>"
    )
    document = re.sub(r"<svg\b[^>]*>", lambda opening: opening[0] + style, html)
    return document.replace("</head>", f"<style>{SHEET}</style></head>", 1)


def _on_paper(rules: str, css: str) -> str:
    root = re.search(r":root\s*\{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+):\s*([^;]+);", root[1] if root else ""))
    return re.sub(r"var\(--([\w-]+)\)", lambda variable: colours.get(variable[1], "black"), rules)
