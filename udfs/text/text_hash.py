"""Keyed hashes of text: equal texts give equal hashes, and without the key nobody can test a guess.

HMAC-SHA256 over the UTF-8 bytes, in hex. The key reaches a worker inside a closure, never in a
column, a setting or a query. `pipelines.source.note_source` computes the same in the JVM.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

_BLOCK = 64  # SHA-256's block length in bytes (RFC 2104)


def keyed_hash(key: bytes) -> Callable[[str], str]:
    """A function from text to its keyed hash, 64 hex digits."""

    def hash_text(text: str) -> str:
        return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()

    return hash_text


def hmac_pads(key: bytes) -> tuple[bytes, bytes]:
    """The inner and the outer pad of HMAC-SHA256, for engines that have SHA-256 but no HMAC.

    Raises:
        ValueError: the key is longer than SHA-256's block.
    """
    if len(key) > _BLOCK:
        raise ValueError(f"a hash key has at most {_BLOCK} bytes, this one has {len(key)}")
    padded = key.ljust(_BLOCK, b"\0")
    return bytes(b ^ 0x36 for b in padded), bytes(b ^ 0x5C for b in padded)
