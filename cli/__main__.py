"""`python -m caco_data.cli` runs the command line."""

from .main import main

main()
