"""What can go wrong between a chaincode and its peer."""

from __future__ import annotations


class ChaincodeError(Exception):
    """The chaincode's answer is no: the peer endorses nothing and the client is told ``message``.

    ``status`` is 400 or above, as HTTP has it.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class PeerError(Exception):
    """The peer could not do what the chaincode asked of it; the transaction must fail."""


class ConfigurationError(Exception):
    """The server cannot start with what it was told."""
