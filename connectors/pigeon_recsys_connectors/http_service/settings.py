"""The section `http` of a settings file: who may call, how much, and how long it may take.

In:  the section as YAML gives it.
Out: settings, or all of its faults at once. docs/http.md explains every key.

A file holds hashes of keys, never keys: `pigeon-recsys serve new-key` prints both.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.service.api_keys import HASH_DIGITS, SCOPES, ApiKey

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
MIB = 2**20
MAX_WORKERS = 64

Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class KeySettings(BaseModel):
    """One caller's key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sha256: str = Field(pattern=rf"^[0-9a-f]{{{HASH_DIGITS}}}$")
    scopes: frozenset[str] = Field(min_length=1)

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(scopes - SCOPES.keys()):
            raise ValueError(f"{', '.join(unknown)}: no scope. Choose from {', '.join(SCOPES)}")
        return scopes

    def to_record(self) -> ApiKey:
        """Return the key as it is looked up."""
        return ApiKey(self.name, self.sha256, self.scopes)


class HttpSettings(BaseModel):
    """How the service is served. Limits hold in each worker process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = LOOPBACK_NAMES[1]
    port: int = Field(8080, ge=0, lt=2**16)  # 0: a free one
    workers: int = Field(1, ge=1, le=MAX_WORKERS)
    keys: tuple[KeySettings, ...] = ()
    allowed_hosts: tuple[str, ...] = ()  # of the header Host; none: any, without keys this machine
    cors_origins: tuple[str, ...] = ()  # web pages that may call; none: none

    viewer: bool = False  # pages that show slates and why: personal data

    rate_per_s: float = Field(1_000.0, gt=0, le=1e6)  # requests of one key, in the long run
    burst: Count = 2_000  # requests of one key at once
    max_requests: Count = 256  # in hand at once; a further one is told to come again
    max_connections: Count = 1_000
    max_body_bytes: Annotated[int, Field(ge=1_024, le=64 * MIB)] = MIB
    max_deadline_ms: float = Field(60_000.0, gt=0, le=3_600_000)  # a slate may be waited for
    threads: Annotated[int, Field(ge=1, le=1_000)] = 8  # for all that is no slate

    header_timeout_s: Seconds = 10.0  # for a request's head to come in
    body_timeout_s: Seconds = 10.0
    request_timeout_s: Seconds = 20.0  # for the answer of all that is no slate
    keep_alive_s: Seconds = 30.0  # an idle connection is kept
    drain_s: float = Field(1.0, ge=0, le=300)  # serving goes on after SIGTERM, for who is late
    stop_s: Seconds = 20.0  # then for requests in hand to end

    @field_validator("keys")
    @classmethod
    def _once(cls, keys: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
        for what, values in (
            ("name", [key.name for key in keys]),
            ("sha256", [key.sha256 for key in keys]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {what}. Give each its own")
        return keys

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names that a request's header Host may have; none: any.

        Without keys it must be this machine's, or a page in a browser here could call the service
        by a name of its own.
        """
        return self.allowed_hosts or (() if self.keys else LOOPBACK_NAMES)


def read_http_settings(section: Mapping[str, Any]) -> HttpSettings:
    """Return the settings of a section. Raises `SettingsError` with every fault and its key."""
    try:
        return HttpSettings.model_validate(section)
    except ValidationError as exc:
        faults = "; ".join(
            f"http.{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}"
            for each in exc.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"{faults}. docs/http.md has every key.") from exc


def check_may_bind(settings: HttpSettings, insecure: bool = False) -> None:
    """Raise `SettingsError` where others could reach a service that asks for no key.

    What the viewer shows is personal, so that `insecure` does not open it.
    """
    if settings.keys or _is_loopback(settings.host):
        return
    if insecure and not settings.viewer:
        return
    if settings.viewer:
        raise SettingsError(
            f"http.host is {settings.host}, which other machines reach, and http.viewer shows "
            "personal data to whoever asks, as there are no http.keys. Make a key with "
            "`pigeon-recsys serve new-key`, set http.viewer to false, or serve on 127.0.0.1."
        )
    raise SettingsError(
        f"http.host is {settings.host}, which other machines reach, and there are no http.keys. "
        "Make one with `pigeon-recsys serve new-key`, or serve on 127.0.0.1; --insecure serves "
        "anybody."
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
