"""The set of codecs: JSON by name, and a clear error for a name nobody has announced."""

from argparse import Namespace

import pytest

from pigeon_recsys.commands.stream_arguments import codecs
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.messages import Codec


def test_json_is_found_by_name() -> None:
    found = codecs(Namespace(codec="json"))
    assert isinstance(found, Codecs)
    for each in (found.events, found.requests, found.items, found.exposures):
        assert isinstance(each, Codec)


def test_another_name_says_what_there_is() -> None:
    with pytest.raises(SettingsError, match="there is no codec 'avro'. Installed: json"):
        codecs(Namespace(codec="avro"))
