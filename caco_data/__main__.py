"""`python -m caco_data` runs the command line, which is installed as `caco_data.cli`."""

from importlib import import_module

import_module("caco_data.cli.main").main()
