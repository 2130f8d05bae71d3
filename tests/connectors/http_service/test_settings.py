"""The section `http`: every fault is told, and nobody serves others without keys by accident."""

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.service.api_keys import key_hash
from pigeon_recsys_connectors.http_service.settings import check_may_bind, read_http_settings

KEY = {"name": "feed", "sha256": key_hash("k"), "scopes": ["slates"]}


def test_without_a_word_the_service_is_for_this_machine_alone() -> None:
    settings = read_http_settings({})
    assert settings.host == "127.0.0.1"
    assert settings.hosts == ("localhost", "127.0.0.1", "[::1]")
    check_may_bind(settings)


def test_all_faults_are_told_with_their_keys() -> None:
    section = {
        "prot": 1,
        "port": 70_000,
        "workers": 0,
        "keys": [{**KEY, "scopes": ["slate"]}, {"name": "a b", "sha256": "x", "scopes": []}],
    }
    with pytest.raises(SettingsError) as raised:
        read_http_settings(section)
    told = str(raised.value)
    for key in ("http.prot", "http.port", "http.workers", "http.keys.1.name", "http.keys.1.sha256"):
        assert f"{key}: " in told
    assert "http.keys.0.scopes: slate: no scope. Choose from slates, generations" in told


@pytest.mark.parametrize("changed", ["name", "sha256"])
def test_two_keys_that_cannot_be_told_apart_are_refused(changed: str) -> None:
    other = {**KEY, changed: {"name": "other", "sha256": key_hash("o")}[changed]}
    with pytest.raises(SettingsError, match="two keys have the same"):
        read_http_settings({"keys": [KEY, other]})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "feed.example"])
def test_other_machines_are_served_with_keys_or_when_that_is_meant(host: str) -> None:
    open_to_all = read_http_settings({"host": host})
    with pytest.raises(SettingsError, match="which other machines reach, and there are no http"):
        check_may_bind(open_to_all)
    check_may_bind(open_to_all, insecure=True)
    check_may_bind(read_http_settings({"host": host, "keys": [KEY]}))


@pytest.mark.parametrize("insecure", [True, False])
def test_the_viewer_is_not_shown_to_other_machines_without_keys(insecure: bool) -> None:
    section = {"host": "0.0.0.0", "viewer": True}
    with pytest.raises(SettingsError, match="shows personal data .* set http.viewer to false"):
        check_may_bind(read_http_settings(section), insecure)
    check_may_bind(read_http_settings({**section, "keys": [KEY]}), insecure)
    check_may_bind(read_http_settings({"viewer": True}), insecure)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.5", "::1", "[::1]"])
def test_this_machine_may_be_served_without_keys(host: str) -> None:
    check_may_bind(read_http_settings({"host": host}))


def test_with_keys_any_host_may_be_named() -> None:
    assert read_http_settings({"keys": [KEY]}).hosts == ()
