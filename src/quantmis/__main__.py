"""`python -m quantmis` is the command `quantmis`."""

from quantmis.cli import main

main()
