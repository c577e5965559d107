from __future__ import annotations

from caco_data.settings_diff import difference


def test_difference_names_nested_settings() -> None:
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == [
        "a.c 2 -> 3",
        "d None -> 4",
    ]


def test_names_replace_keys_and_their_prefixes() -> None:
    old, new = {"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 4}}
    assert difference(old, new, "x.", {"b": "--bee"}) == ["--bee 1 -> 3", "x.a.c 2 -> 4"]
