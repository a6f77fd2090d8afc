"""What a remote object is: bytes read by range, with tries, that must not change meanwhile."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from mediaproc.addresses import shown
from mediaproc.errors import MediaError

# Tries of a request in all, and seconds before the second one; each further wait is doubled.
ATTEMPTS = 4
RETRY_WAIT_S = 0.25

_T = TypeVar("_T")


class TryAgainError(Exception):
    """A request failed in a way that may pass; the text says how."""


class RemoteObject(ABC):
    """An object that is read by range.

    Attributes:
        shown: its address, for messages.
        size: bytes.
        identity: the same as long as the bytes are the same; None where the server tells nothing
            that they could be known again by.
        head: the first bytes, which came with the answer that told the size.
    """

    size: int
    identity: str | None
    head: bytes

    def __init__(self, address: str) -> None:
        self.shown = shown(address)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from ``start`` up to ``stop``, all of them.

        Raises:
            MediaError: they cannot be read, or the object is not the one that was opened.
        """
        return self._tried(lambda: self._range(start, stop))

    @abstractmethod
    def _range(self, start: int, stop: int) -> bytes:
        """One try of ``read``; TryAgainError where another may help."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    def _tried(self, request: Callable[[], _T]) -> _T:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(RETRY_WAIT_S * 2 ** (attempt - 1))
            try:
                return request()
            except TryAgainError as error:
                reason = str(error)
        raise self._error(f"cannot be read, in {ATTEMPTS} tries: {reason}")

    def _error(self, text: str) -> MediaError:
        return MediaError(f"{self.shown}: {text}", path=self.shown)

    def _changed(self) -> MediaError:
        return self._error("the object changed while it was read; start again when it is complete")

    def _missing(self, why: str) -> MediaError:
        return self._error(f"no such file ({why})")

    def _denied(self, why: str) -> MediaError:
        return self._error(
            f"access is denied ({why}); check the credentials, or whether a signed link has expired"
        )


def identity_of(*parts: Any) -> str:
    """A digest, hex, of what bytes are known again by: it shows nothing of the parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
