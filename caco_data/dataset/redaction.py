"""Removal of secrets from text that is stored or printed: passwords, tokens, keys."""

from __future__ import annotations

import re

REMOVED = "[removed]"
#: Names of query parameters, settings and JSON keys with secret values.
_NAMES = r"\w*(?:key|key_id|token|secret|passw(?:or)?d|pwd|signature|\bsig|assertion|credentials?)"
#: In this order: a private key contains text that the later patterns would match in part.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        # A private key; a shortened text may lack its end.
        (r"-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", REMOVED),
        # http://user:password@host, also with "/" or "@" in the password, and user:password@host.
        (r"(://)(?:[^\s/:@]*:[^\s]*|[^\s/]*)@", r"\1"),
        (r"(?<![\w./-])[\w.%+-]+:[^\s/:@]+@(?=[\w\[])", ""),
        # Headers: "Authorization: Basic ...", "Bearer ...".
        (r"(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:basic|bearer)\s+)?[^\s\"',;}]+",
         rf"\1{REMOVED}"),
        (r"\b(bearer\s+)[\w.~+/=-]+", rf"\1{REMOVED}"),
        # Google's access and refresh tokens, API keys and client secrets; JSON web tokens.
        (r"\bya29\.[\w.-]+", REMOVED),
        (r"\b1//[\w-]{10,}", REMOVED),
        (r"\b(?:AIza|GOCSPX-)[\w-]{10,}", REMOVED),
        (r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?", REMOVED),
        # name=value, "name": "value".
        (rf"\b({_NAMES}[\"']?\s*=\s*[\"']?)[^\s&\"',;}})]+", rf"\1{REMOVED}"),
        (rf"\b({_NAMES}[\"']\s*:\s*[\"'])[^\"']*", rf"\1{REMOVED}"),
    )
)  # fmt: skip


def redact(text: str) -> str:
    """Remove secrets from a text.

    Removed are user names and passwords in URLs, authorisation headers, Google's tokens and API
    keys, private keys, and the values of parameters such as `key=` and `token=`.

    Parameters
    ----------
    text : str
        A message, of any length.

    Returns
    -------
    str
        The message with `[removed]` in place of each secret.
    """
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
