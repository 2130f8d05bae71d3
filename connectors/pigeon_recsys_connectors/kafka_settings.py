"""How clients get into a secured Kafka cluster, read from a file.

In:  a YAML file of kafka-python's own settings; `${NAME}` in a value is an environment variable.
Out: settings for consumer, producer and admin client alike.

    security_protocol: SASL_SSL
    sasl_mechanism: SCRAM-SHA-512
    sasl_plain_username: pigeon
    sasl_plain_password: ${PIGEON_KAFKA_PASSWORD}
    ssl_cafile: /etc/pigeon/ca.pem

No error repeats a value that may be a secret. Paths are taken as they are, from the current folder.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pigeon_recsys.errors import SettingsError

VARIABLE = re.compile(r"\$\{(\w+)\}")
EXAMPLE = "security_protocol: SASL_SSL"
WITH_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
Text = Field(default=None, min_length=1)


class KafkaSettings(BaseModel):
    """What may be set: how a connection is made, not what a client does with it."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
    sasl_mechanism: (
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "AWS_MSK_IAM"] | None
    ) = None
    sasl_plain_username: str | None = Text
    sasl_plain_password: str | None = Text
    sasl_kerberos_service_name: str | None = Text
    sasl_kerberos_domain_name: str | None = Text
    ssl_check_hostname: bool | None = None
    ssl_cafile: str | None = Text
    ssl_certfile: str | None = Text
    ssl_keyfile: str | None = Text
    ssl_password: str | None = Text
    ssl_crlfile: str | None = Text

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        with_sasl, with_ssl = (kind in self.security_protocol for kind in ("SASL", "SSL"))
        idle = {
            name
            for name in given
            if (name.startswith("sasl_") and not with_sasl)
            or (name.startswith("ssl_") and not with_ssl)
        }
        needed = {"sasl_mechanism"} if with_sasl else set()
        if self.sasl_mechanism in WITH_PASSWORD and with_sasl:
            needed |= {"sasl_plain_username", "sasl_plain_password"}
        if missing := sorted(needed - given):
            raise ValueError(f"{self.security_protocol} needs {' and '.join(missing)}")
        if idle:
            names = " and ".join(sorted(idle))
            raise ValueError(f"{names} would have no effect with {self.security_protocol}")
        for name in sorted(given):
            if name.endswith("file") and not Path(getattr(self, name)).is_file():
                raise ValueError(f"{name}: there is no file {getattr(self, name)}")
        return self


def read_kafka_settings(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the settings of a file. Raises `SettingsError` naming the key that is wrong."""
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"cannot read {path}: {exc}. Check --kafka-settings.") from exc
    except yaml.YAMLError as exc:  # its text would show the line, and so perhaps a password
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{path}{where}: not YAML. Write one `name: value` a line.") from None
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: must hold `name: value` lines, such as `{EXAMPLE}`.")
    filled = {name: _filled(path, name, value, environment) for name, value in found.items()}
    try:
        settings = KafkaSettings.model_validate(filled)
    except ValidationError as exc:
        raise SettingsError(f"{path}: {_faults(exc)}") from None
    return settings.model_dump(exclude_none=True)


def _filled(path: Path, name: object, value: object, environment: Mapping[str, str]) -> object:
    """Return a value with environment variables put in."""
    if not isinstance(value, str):
        return value
    for variable in VARIABLE.findall(value):
        if variable not in environment:
            raise SettingsError(
                f"{path}: {name} names the environment variable {variable}, which is not set. "
                "Set it, or write the value."
            )
    return VARIABLE.sub(lambda match: environment[match[1]], value)


def _faults(exc: ValidationError) -> str:
    known = ", ".join(KafkaSettings.model_fields)
    told = []
    for fault in exc.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            told.append(f"{name} is not known here. Known: {known}")
        else:
            told.append(f"{name}: {fault['msg']}" if name else fault["msg"])
    return "; ".join(told) + "."
