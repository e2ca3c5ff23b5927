"""The report in the forms that people and organisations file: for pull requests, spreadsheets, registries and annexes.

A form is a pure function of the audit's `Source`, in a module of its own that is imported when somebody asks for it, so
that what a form needs (`quantmis[pdf]`, `[hf]`, `[cyclonedx]`) is only needed by those who want it. Reads results and
statistics and the words of the report; never imports torch.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from quantmis.documents.source import Source
from quantmis.errors import UserError
from quantmis.registry import suggestion

__all__ = ["FORMS", "Form", "Source", "form", "merge_into_card", "render"]

PANGO = (
    "; WeasyPrint also needs Pango (Debian: apt install libpango-1.0-0 libpangoft2-1.0-0, macOS: brew install pango). "
    "Without it, open report.html in a browser and print it to a file"
)


@dataclass(frozen=True)
class Form:
    """Say where a form is written, by which module, and what that needs: a package, an extra, a remedy.

    `private`: whether it is its owner's alone, since it names samples; others are made to be passed on.
    """

    file: str
    module: str
    package: str = ""
    extra: str = ""
    remedy: str = ""
    private: bool = False

    def load(self) -> ModuleType:
        """Import the module; `UserError` with the command that installs what it needs."""
        try:
            return import_module(f"quantmis.documents.{self.module}")
        except (ImportError, OSError) as error:  # OSError: the package is here, a library of the system is not
            if not self.package:
                raise
            message = f"{self.file} needs {self.package}, which cannot be used here: {error}"
            raise UserError(message, hint=f"pip install 'quantmis[{self.extra}]'{self.remedy}") from error


FORMS = {
    "html": Form("report.html", "html", private=True),
    "pdf": Form("report.pdf", "pdf", "WeasyPrint", "pdf", PANGO, private=True),
    "md": Form("report.md", "markdown"),
    "json": Form("report.json", "summary"),
    "csv": Form("report.csv", "csv"),
    "model-card": Form("model-card.md", "model_card", "huggingface_hub", "model-card"),
    "cyclonedx": Form("report.cdx.json", "cyclonedx", "cyclonedx-python-lib", "cyclonedx"),
    "dpia": Form("dpia-annex.md", "dpia"),
    "conformity": Form("conformity.html", "conformity", private=True),
    "conformity-pdf": Form("conformity.pdf", "conformity_pdf", "WeasyPrint", "pdf", PANGO, private=True),
}


def form(name: str) -> Form:
    """Return the form of that name; `UserError` with those that exist for another."""
    if name not in FORMS:
        raise UserError(f"there is no format {name!r}", hint=suggestion(name, FORMS))
    return FORMS[name]


def render(name: str, source: Source) -> bytes:
    """Return an audit in the form of that name."""
    return form(name).load().render(source)


def merge_into_card(card: Path, source: Source) -> bytes:
    """Return an existing model card with the section of this audit, every other byte its own."""
    return form("model-card").load().merge_into(card, source)
