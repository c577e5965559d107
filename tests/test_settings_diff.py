from __future__ import annotations

from caco_data.settings_diff import difference


def test_difference_names_nested_settings() -> None:
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == [
        "a.c 2 -> 3",
        "d None -> 4",
    ]
