"""`python -m caco_data.cli`."""

from .main import main

main()
