"""Text from files, made safe to print: control characters are written as escapes."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Replace every character that a terminal might interpret by its escape.

    Replaced are control characters (also the line feed), directional and other format characters,
    separators other than the space, and the bytes of file names that are not UTF-8.

    Parameters
    ----------
    text : str
        A name or a message, from any source.

    Returns
    -------
    str
        The text, with `\x1b` in place of an escape character; backslashes are unchanged.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
