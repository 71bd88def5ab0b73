"""Connections that send no request do not stay: each holds a file descriptor, of which there are few."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_MAY_TAKE = 20.0
"""Seconds from a connection's start, or from the first byte of a later request, to the end of the headers."""


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose next request's headers do not arrive in time.

    uvicorn itself waits for ever for the first request, and for the rest of one that has begun.
    """

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Begin to wait for headers, or end it once they are there."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_watching()
        elif self._closing is None:
            self._closing = self.loop.call_later(HEADERS_MAY_TAKE, self.transport.close)

    def _stop_watching(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
