"""The one error of the broker for development."""

from pigeon_recsys.errors import PigeonError


class BrokerError(PigeonError):
    """The broker cannot be fetched, started or reached; the message says what to do."""
