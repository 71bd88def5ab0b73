"""Content that was rendered lately, kept in memory so that showing it again costs next to nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import Generic, TypeVar

Page = TypeVar("Page")


class ShownPages(Generic[Page]):
    """Pages by what they were made of, the least lately used given up first; safe between threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pages: OrderedDict[bytes, tuple[Page, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @staticmethod
    def key(*made_of: object) -> bytes:
        """A hash of all that a page is made of."""
        digest = blake2b(digest_size=24)
        for each in made_of:
            data = (
                each.encode("utf-8", "surrogatepass")
                if isinstance(each, str)
                else repr(each).encode("utf-8", "surrogatepass")
            )
            digest.update(b"%d:" % len(data))
            digest.update(data)
        return digest.digest()

    def find(self, key: bytes) -> Page | None:
        """The page made of this, where it is still kept."""
        with self._lock:
            kept = self._pages.get(key)
            if kept is None:
                return None
            self._pages.move_to_end(key)
            return kept[0]

    def keep(self, key: bytes, page: Page, size: int) -> None:
        """Keep a page of so many bytes; one that would take a quarter of all room is not kept."""
        if size * 4 > self._most_bytes:
            return
        with self._lock:
            if key in self._pages:
                return
            self._pages[key] = (page, size)
            self._bytes += size
            while self._bytes > self._most_bytes:
                _, (_, freed) = self._pages.popitem(last=False)
                self._bytes -= freed
