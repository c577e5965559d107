"""Pictures of what the pipeline made: for eyes, not for parsing.

matplotlib is imported inside the functions, always with its file-only Agg canvas.
"""

from __future__ import annotations
