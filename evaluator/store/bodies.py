"""Bodies over 64 KB lie in an object store, named by their hash; the row keeps a pointer."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluator.errors import Misconfigured
from evaluator.store.packing import unpack

if TYPE_CHECKING:
    from obstore.store import ObjectStore

INLINE_BYTES = 64 * 1024
POINTER = b"@"
"""First byte of a pointer; no packing codec uses it."""


class Bodies:
    """Where packed bodies too large for a row are kept: a folder or a bucket."""

    def __init__(self, url: str, data_dir: Path) -> None:
        self._url = url
        self._folder = data_dir / "bodies"

    @cached_property
    def _store(self) -> ObjectStore:
        from obstore import store
        from obstore.exceptions import BaseError

        try:
            if self._url:
                return store.from_url(self._url)
            return store.LocalStore(self._folder, mkdir=True)
        except (BaseError, ValueError, OSError) as error:
            raise Misconfigured(
                f"The body store cannot be opened: {error}", hint="Check ADJUDGE_BODY_STORE_URL."
            ) from error

    def place(self, packed: bytes) -> bytes:
        """What to keep in the row: the body itself, or a pointer once it is stored outside."""
        if len(packed) <= INLINE_BYTES:
            return packed
        import obstore

        name = sha256(packed).hexdigest()
        obstore.put(self._store, f"{name[:2]}/{name}", packed)
        return POINTER + name.encode()

    def fetch(self, kept: bytes) -> bytes:
        """The packed body behind what a row keeps."""
        if kept[:1] != POINTER:
            return kept
        import obstore

        name = kept[1:].decode()
        return bytes(obstore.get(self._store, f"{name[:2]}/{name}").bytes())

    def open(self, kept: bytes) -> Any:
        """The value behind what a row keeps."""
        return unpack(self.fetch(kept))
