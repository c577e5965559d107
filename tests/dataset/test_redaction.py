from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caco_data.dataset.events import EventLog
from caco_data.dataset.layout import EVENTS
from caco_data.dataset.redaction import redact
from caco_data.storage import LocalStorage

PEM = (
    "-----BEGIN PRIVATE KEY-----\nMIIhunter2Qabc+/hunter2\nMIIhunter2xyz=\n"
    "-----END PRIVATE KEY-----\n"
)

PLANTED = [
    "Cannot connect to proxy http://user:hunter2@proxy.example.com:3128",
    "http://user:hun/ter2hunter2@proxy.example.com/x",
    "http://user:hunter2@x@proxy.example.com",
    "http://hunter2@proxy.example.com/path",
    "s3://AKIA:hunter2@bucket/key",
    "proxy user:hunter2@proxy.example.com:3128 refuses",
    "user%40corp:hunter2@[::1]:80",
    "Authorization: Bearer hunter2.hunter2-_/+=",
    "{'authorization': 'Basic aHVudGVyMghunter2==', 'x': 1}",
    '"Proxy-Authorization":"Negotiate-hunter2"',
    "sent bearer hunter2 to the service",
    "invalid token ya29.a0Ahunter2-x_y",
    "refresh 1//0ghunter2abcdef",
    "API AIzaSyhunter2hunter2 rejected",
    "eyJhbGciOi.eyJpc3MiOihunter2.c2lnhunter2",
    f"could not parse {PEM}",
    f"could not parse {PEM[:60]}",
    json.dumps({"type": "service_account", "private_key_id": "hunter2", "private_key": PEM}),
    "https://host/v1/x?key=hunter2&alt=json",
    "https://host/v1/x?alt=json&access_token=hunter2",
    "https://bucket.s3/x?X-Amz-Signature=hunter2",
    "password='hunter2', user='me'",
    "client_secret = hunter2",
    '{"refresh_token": "hunter2 hunter2", "client_id": "x"}',
    "KEY=hunter2;",
]

HARMLESS = [
    "Image asset '20190105T105431_20190105T105427_T31TCF' not found (does not exist)",
    "429: Too many requests to https://earthengine.googleapis.com/v1/projects/p:listAssets?a=b",
    "slot 2 of early: 3 candidates, best 45 % clear at 12:30",
    "http://127.0.0.1:8080: [Errno 111] Connection refused",
    "No credentials of svc@project.iam.gserviceaccount.com, use --service-account key.json",
    "KeyError: 'x' in C:\\folder\\file.py",
    "The token endpoint answers 503",
    "tcp://127.0.0.1:8786",
]


@pytest.mark.parametrize("text", PLANTED)
def test_secrets_are_removed(text: str, tmp_path: Path) -> None:
    assert "hunter2" not in redact(text)
    EventLog(LocalStorage(tmp_path)).write("retries", detail=text, causes={text: 1, "429": 1})
    written = (tmp_path / EVENTS).read_text()
    assert "hunter2" not in written
    assert json.loads(written)["causes"]["429"] == 1


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_the_host_of_an_url_remains() -> None:
    assert redact("proxy http://u:p@proxy.example.com:3128 refuses") == (
        "proxy http://proxy.example.com:3128 refuses"
    )


@given(st.text())
def test_any_text_can_be_redacted_again_without_a_change(text: str) -> None:
    assert redact(redact(text)) == redact(text)
