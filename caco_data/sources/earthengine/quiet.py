"""Suppression of the output of the libraries; their failures are raised as our own errors."""

from __future__ import annotations

import logging
import warnings

_LOGGERS = ("ee", "google", "google_auth_httplib2", "googleapiclient", "urllib3")


def silence_libraries() -> None:
    """Suppress the log messages and warnings of the Earth Engine client and its libraries."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=rf"({'|'.join(_LOGGERS)})(\.|$)")
