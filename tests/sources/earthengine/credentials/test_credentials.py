"""Credentials and projects: where they are found, and the messages when they are not."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from caco_data.errors import InputError, RefusedError, TransientError
from caco_data.sources.earthengine.credentials import (
    FoundCredentials,
    Project,
    find_credentials,
    find_project,
)
from caco_data.sources.earthengine.endpoint import HIGH_VOLUME
from caco_data.sources.earthengine.settings import EarthEngineSettings
from tests.conftest import Run
from tests.sources.earthengine.credentials.conftest import (
    SECRET,
    Endpoints,
    WriteKey,
    check,
    error_of,
    token_requests,
    user_file,
    write_earthengine,
    write_gcloud,
)
from tests.support.earthengine.faults import FaultPlan
from tests.support.earthengine.server import EarthEngineServer

# --- encryption ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://other-host", "http://earthengine.googleapis.com", "http://127.0.0.1.example",
     "http://127.0.0.1@other-host", "HTTP://10.0.0.1:8080"],
)  # fmt: skip
def test_no_token_is_sent_unencrypted(key_file: Path, url: str, server: EarthEngineServer) -> None:
    for action in (
        EarthEngineSettings(url=url, key_file=str(key_file)).find_credentials,
        EarthEngineSettings(url=url, key_file=str(key_file)).open,
    ):
        error = error_of(action)
        assert isinstance(error, InputError)
        assert "would be sent unencrypted" in str(error)
    assert token_requests(server) == 0


@pytest.mark.parametrize("url", ["https://other-host", "http://localhost:1", "http://[::1]:1"])
def test_a_key_is_used_for_encrypted_and_local_addresses(key_file: Path, url: str) -> None:
    assert find_credentials(url, str(key_file)).kind == "service-account key"


def test_no_assertion_is_sent_unencrypted(write_key: WriteKey) -> None:
    key = write_key("http://other-host/token")
    error = error_of(lambda: check("https://ee.example", key))
    assert isinstance(error, InputError)
    assert "token_uri" in str(error)


def test_credentials_of_the_machine_are_sent_to_google_only(home: Path) -> None:
    write_earthengine(home, json.dumps({"refresh_token": SECRET}))
    write_gcloud(home)
    for url in (
        "http://127.0.0.1:1", "https://evil.example/googleapis.com",
        "http://earthengine.googleapis.com", "https://googleapis.com.evil.example",
    ):  # fmt: skip
        assert find_credentials(url, None) == FoundCredentials("none", "")


# --- messages ------------------------------------------------------------------------------------


def test_no_credentials() -> None:
    error = error_of(EarthEngineSettings(project="p").open)
    assert isinstance(error, InputError)
    assert str(error).startswith("No Earth Engine credentials. Run 'earthengine authenticate'")
    assert "--source simulated" in str(error)


def test_a_file_of_set_project_alone(home: Path) -> None:
    path = write_earthengine(home, '{"project": "mine"}')
    error = error_of(check)
    assert isinstance(error, InputError)
    assert "names a project but contains no credentials" in str(error)
    assert str(path) in str(error)
    assert "'earthengine authenticate'" in error.remedy


@pytest.mark.parametrize("text", ["", "[]", "null", "\x00", f'{{"refresh_token": "{SECRET}"'])
def test_a_damaged_earthengine_file(home: Path, text: str) -> None:
    path = write_earthengine(home, text)
    error = error_of(check)
    assert isinstance(error, InputError)
    assert "damaged" in str(error)
    assert str(path) in str(error)
    assert "'earthengine authenticate --force'" in error.remedy


REFUSED = FaultPlan({"invalid_grant": 1.0}, applies_to=("token",))


def test_messages_about_revoked_credentials_name_their_file_and_remedy(
    server: EarthEngineServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plan = REFUSED
    gcloud = write_gcloud(home)
    error = error_of(check)
    assert isinstance(error, RefusedError)
    assert "application default credentials: expired or revoked" in error.what
    assert error.where == str(gcloud)
    assert "gcloud auth application-default login --scopes=" in error.remedy
    assert "auth/earthengine" in error.remedy

    own = write_earthengine(home, json.dumps({"refresh_token": SECRET}))
    error = error_of(check)
    assert isinstance(error, RefusedError)
    assert "expired or revoked" in error.what
    assert error.where == str(own)
    assert error.remedy == "Run 'earthengine authenticate --force'"

    named = home / "named.json"
    named.write_text(user_file())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(named))
    error = error_of(check)
    assert isinstance(error, RefusedError)
    assert error.where == str(named)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in error.remedy


def test_the_token_endpoint_of_users_can_fail(server: EarthEngineServer, home: Path) -> None:
    server.plan = FaultPlan({"503": 1.0}, applies_to=("token",))
    write_earthengine(home, json.dumps({"refresh_token": SECRET}))
    assert isinstance(error_of(check), TransientError)
    server.plan = FaultPlan()
    check()


def test_a_file_without_the_necessary_fields_is_refused(home: Path) -> None:
    write_earthengine(home, json.dumps({"refresh_token": SECRET, "client_secret": None}))
    error = error_of(check)
    assert isinstance(error, RefusedError)
    assert "not usable" in str(error)


@pytest.mark.parametrize("text", [None, "", "[]", '{"type": "x"}', '{"type": "authorized_user"}'])
def test_a_missing_or_damaged_file_of_the_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = home / "named.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    error = error_of(check)
    assert isinstance(error, InputError)
    assert ("does not exist" if text is None else "damaged") in error.what
    assert error.where == str(path)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in error.remedy


def test_a_damaged_gcloud_file(home: Path) -> None:
    path = write_gcloud(home)
    path.write_text(f'{{"refresh_token": "{SECRET}"')
    error = error_of(check)
    assert isinstance(error, InputError)
    assert error.where == str(path)
    assert "gcloud auth application-default login" in error.remedy


@pytest.mark.parametrize("text", [None, "[]", f'{{"private_key": "{SECRET}"}}'])
def test_a_missing_or_damaged_key(home: Path, text: str | None) -> None:
    path = home / "bad.json"
    if text is not None:
        path.write_text(text)
    error = error_of(lambda: check(key_file=path))
    assert isinstance(error, InputError)
    assert error.where == str(path)


# --- metadata server -----------------------------------------------------------------------------


def test_the_service_account_of_a_cloud_machine(
    endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = endpoint(200, b"machine-project", Metadata_Flavor="Google")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # not used for it
    monkeypatch.setenv("GCE_METADATA_IP", url.removeprefix("http://"))
    found = find_credentials(HIGH_VOLUME, None)
    assert found.kind == "metadata server"
    assert handler.seen[0][1]["Metadata-Flavor"] == "Google"
    assert find_project(None, found) == Project("machine-project", found.where)
    # google-auth reads the variable when it is imported.
    monkeypatch.setenv("GCE_METADATA_HOST", found.where)
    code = (
        "from caco_data.sources.earthengine.settings import EarthEngineSettings\n"
        "try: EarthEngineSettings().find_credentials()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    for status, message in (
        (404, "RefusedError Google refuses the service account of this machine"),
        (503, "TransientError token endpoint"),
    ):
        handler.answer = (status, {"Metadata-Flavor": "Google"}, b"no service account")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.startswith(message)
        assert done.stderr == ""


def test_other_servers_at_the_address_of_the_metadata_server(
    endpoint: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = endpoint(200, b"an instance of another provider")
    monkeypatch.setenv("GCE_METADATA_IP", url.removeprefix("http://"))
    assert "No Earth Engine credentials" in str(error_of(check))


def test_a_missing_metadata_server_takes_less_than_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:
        host, port = silent.server_address[:2]  # accepts a connection and sends nothing
        monkeypatch.setenv("GCE_METADATA_IP", f"{host!s}:{port}")
        began = time.monotonic()
        error_of(check)
        assert time.monotonic() - began < 1.5


# --- project -------------------------------------------------------------------------------------


def test_the_project_and_its_origin(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gcloud = write_gcloud(home)

    def project(given: str | None = None) -> Project:
        return find_project(given, find_credentials(HIGH_VOLUME, None))

    assert "No Cloud project" in str(error_of(project))
    expected = []
    for variable in ("CLOUDSDK_CORE_PROJECT", "GCLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.setenv(variable, variable.lower())
        expected.append((project(), Project(variable.lower(), variable)))
    write_gcloud(home, quota_project_id="quota")
    expected.append((project(), Project("quota", str(gcloud))))
    own = write_earthengine(home, '{"project": "set"}')
    expected.append((project(), Project("set", str(own))))
    write_earthengine(home, json.dumps({"project": "file", "refresh_token": SECRET}))
    expected.append((project(), Project("file", str(own))))
    write_earthengine(home, json.dumps({"refresh_token": SECRET}))
    expected.append((project(), Project("quota", "gcloud's application default credentials")))
    monkeypatch.setenv("EARTHENGINE_PROJECT", "variable")
    expected.append((project(), Project("variable", "EARTHENGINE_PROJECT")))
    expected.append((project("variable"), Project("variable", "EARTHENGINE_PROJECT")))
    expected.append((project("option"), Project("option", "--project")))
    for found, wanted in expected:
        assert found == wanted


def test_the_project_of_a_client_id_is_used_unless_it_belongs_to_google(home: Path) -> None:
    path = write_earthengine(
        home, json.dumps({"refresh_token": SECRET, "client_id": "123456-x.apps"})
    )
    found = find_credentials(HIGH_VOLUME, None)
    assert find_project(None, found) == Project("123456", str(path))
    write_earthengine(home, json.dumps({"refresh_token": SECRET}))
    error = error_of(lambda: find_project(None, find_credentials(HIGH_VOLUME, None)))
    assert "--project" in error.remedy


def test_the_project_of_a_key(home: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "other")
    write_earthengine(home, json.dumps({"project": "a user's", "refresh_token": SECRET}))
    found = find_credentials(HIGH_VOLUME, str(key_file))
    assert find_project(None, found) == Project("my-project", str(key_file))
    write_earthengine(home, "damaged")
    assert find_project(None, found).id == "my-project"
    write_earthengine(home, '{"project": "set"}')
    assert find_project(None, found).id == "set"


def test_a_test_server_requires_no_project() -> None:
    assert find_project(None, find_credentials("http://127.0.0.1:1", None)).id == "stand-in"


# --- output --------------------------------------------------------------------------------------


def test_a_command_prints_only_its_error(
    server: EarthEngineServer, home: Path, key_file: Path
) -> None:
    """google-auth warns about credentials of gcloud without a quota project."""
    server.plan = REFUSED
    write_gcloud(home)
    code = (
        "import google.oauth2.credentials as c\n"
        "from importlib import import_module\n"
        f"c._GOOGLE_OAUTH2_TOKEN_ENDPOINT = {server.url + '/token'!r}\n"
        "import_module('caco_data.cli.main').main()"
    )
    table = home / "table.csv"
    table.write_text("longitude,latitude\n2.5,41.5\n")
    download = ["download", "--locations", table, "--ee-url", server.url]
    doctor = ["doctor", "--ee-url", "https://none.googleapis.com:1", "--project", "p"]
    for arguments, message in (
        ([*download, "--service-account", key_file], "Google refuses the service-account key"),
        (doctor, "Google refuses the application default credentials: expired or revoked"),
    ):
        done = subprocess.run(
            [sys.executable, "-W", "always::UserWarning", "-c", code, *arguments, "--out", "out"],
            capture_output=True, text=True, cwd=home,
        )  # fmt: skip
        assert done.returncode == (4 if "download" in arguments else 1), done.stderr
        assert message in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr
        assert "Warning" not in done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ")


def test_warnings_and_log_lines_of_google_are_suppressed(
    server: EarthEngineServer, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_gcloud(home, scopes=["more"])  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check()
    assert [r for r in caplog.records if r.name.startswith("google")] == []


def test_doctor_prints_the_origin_of_the_project(run: Run, home: Path, key_file: Path) -> None:
    result = run("doctor", "--json", "--service-account", key_file, "--ee-url", "http://127.0.0.1:9",
                 "--out", home)  # fmt: skip
    lines = {line["name"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert lines["credentials"]["state"] == "ok"
    assert lines["project"]["found"] == f"my-project ({key_file})"
