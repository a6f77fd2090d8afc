"""``python -m mediaproc``."""

from mediaproc.cli import main

main()
