"""Files that other tools wrote, read into the record without those tools."""

from quantmis.quantizers.formats.artefact import RECORD, Artefact, format_of, read, rounds_inputs
from quantmis.quantizers.formats.restoring import restore, restore_into

__all__ = ["RECORD", "Artefact", "format_of", "read", "restore", "restore_into", "rounds_inputs"]
