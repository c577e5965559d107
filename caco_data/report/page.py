"""The page: its sections as one HTML file without references to other files or hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from caco_data import __version__
from caco_data.printable import printable
from caco_data.report.elements import Section

#: The browser itself refuses requests: only what is in the page may be used.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)
#: Texts that are aligned to the right in tables.
_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?(e[-+][0-9]+)?|–")


def render_page(title: str, sections: Sequence[Section]) -> str:
    """Render the page.

    Parameters
    ----------
    title : str
        Title of the page.
    sections : sequence of Section
        At least one.

    Returns
    -------
    str
        HTML.
    """
    resources = Resources(mode="inline", components=["bokeh", "bokeh-gl"], minified=True)
    template = _environment().get_template("page.html.j2")
    return template.render(
        title=title, sections=sections, version=__version__, policy=POLICY,
        bokeh=[Markup(_script(text)) for text in resources.js_raw],
    )  # fmt: skip


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("caco_data.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_printable,
    )  # fmt: skip
    made.filters["script_json"] = _script_json
    made.tests["number_text"] = _NUMBER.fullmatch
    made.globals["file"] = _file
    return made


def _printable(value: Any) -> Any:
    """Escape control characters of texts from files; the parts of the page itself are Markup."""
    return printable(value) if type(value) is str else value


def _file(name: str) -> Markup:
    """Text of a file beside the template, as it is."""
    loader = _environment().loader
    assert loader is not None
    return Markup(_script(loader.get_source(_environment(), name)[0]))


def _script(text: str) -> str:
    """Text within an element `script` or `style`, which it must not end."""
    return text.replace("</script", "<\\/script").replace("</style", "<\\/style")


def _script_json(value: Any) -> Markup:
    """JSON, or a text that is JSON, within an element `script`."""
    text = value if isinstance(value, str) else json.dumps(value)
    return Markup(text.replace("<", "\\u003c"))
