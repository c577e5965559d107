"""Identity of the installed caco-data, compared between this process and every worker.

`identity` is sent to the workers by value, since the package may be missing or different there. It
therefore imports what it needs in its body, and nothing from caco-data.
"""

from __future__ import annotations


def identity() -> dict[str, str]:
    """Version and digest of the source code of caco-data in this process.

    Returns
    -------
    dict of str
        `version` and `digest`; empty when the package is not installed. The digest is the start of
        the SHA-256 of all modules except the command line, which workers do not use.
    """
    import hashlib
    from importlib import import_module
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("caco_data")
    if spec is None or spec.origin is None:
        return {}
    root = Path(spec.origin).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith("cli/"):
            digest.update(f"{name}\0".encode() + path.read_bytes())
    version = str(import_module("caco_data").__version__)
    return {"version": version, "digest": digest.hexdigest()[:12]}


def difference(here: dict[str, str], there: dict[str, str]) -> str:
    """What distinguishes the software of a worker from this one's; empty when it is the same."""
    if not there:
        return "caco-data is not installed there"
    if here == there:
        return ""
    return (
        f"caco-data {there['version']} (source {there['digest']}) is installed there, and "
        f"{here['version']} (source {here['digest']}) here"
    )
