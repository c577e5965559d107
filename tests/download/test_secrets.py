"""Secrets never reach the data set or the output, whatever fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import Run
from tests.support.earthengine.server import server_process

PASSWORD = "planted-password"
#: Access tokens of the test server begin with this.
TOKEN = "ya29."


def write_key(path: Path, url: str) -> list[str]:
    """Write a service-account key; return its secret parts."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    key = {
        "type": "service_account", "project_id": "my-project", "private_key_id": "planted-key-id",
        "private_key": pem, "client_email": "me@my-project", "client_id": "1",
        "token_uri": f"{url}/token",
    }  # fmt: skip
    path.write_text(json.dumps(key))
    return [*pem.splitlines()[1:-1], "planted-key-id"]


@pytest.mark.parametrize(
    ("address", "faults"),
    [
        ("", {"503": 0.1, "403_rate": 0.05, "html": 0.05, "drop": 0.05}),
        ("", {"401": 0.05}),  # the run ends, or renews its token
        ("http://earthengine.example", {}),  # through the proxy, which does not answer
    ],
)
def test_no_file_and_no_output_contains_a_secret(
    run: Run, tmp_path: Path, address: str, faults: dict[str, float]
) -> None:
    table, out, key = (tmp_path / name for name in ("locations.parquet", "dataset", "key.json"))
    assert run("sample", "--n", 4, "--out", table).exit_code == 0
    proxy = f"http://me:{PASSWORD}@127.0.0.1:9"
    rates = [part for kind, rate in faults.items() for part in ("--fault", f"{kind}={rate}")]
    with server_process("--source", "flat", "--require-token", *rates) as url:
        secrets = [*write_key(key, url), PASSWORD, TOKEN]
        done = subprocess.run(
            [
                sys.executable, "-m", "caco_data.cli", "--debug", "download", "--json-log",
                "--ee-url", address or url, "--service-account", str(key), "--locations",
                str(table), "--out", str(out), "--bands", "B2", "--workers", "1",
                "--max-retries", "1", "--max-outage", "3s",
            ],
            env={**os.environ, "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy},
            capture_output=True,
            text=True,
        )  # fmt: skip
    texts = {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert texts or done.returncode
    texts |= {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    found = [name for name, text in texts.items() for x in secrets if x.encode() in text]
    assert not found, done.stderr
