import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.text.text_hash import hmac_pads, keyed_hash

KEYS = st.binary(max_size=64)


@given(KEYS, st.text(st.characters()))
def test_it_is_hmac_sha256_of_the_utf8_bytes(key, text):
    expected = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    assert keyed_hash(key)(text) == expected


@given(KEYS, st.text())
def test_the_pads_build_the_same_hash_from_sha256_alone(key, text):
    inner, outer = hmac_pads(key)
    digest = hashlib.sha256(outer + hashlib.sha256(inner + text.encode()).digest()).hexdigest()
    assert digest == keyed_hash(key)(text)


def test_a_published_example():
    """RFC 4231, test case 2."""
    assert keyed_hash(b"Jefe")("what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_keys_and_texts_matter():
    hashes = {keyed_hash(key)(text) for key in (b"a", b"b") for text in ("", "x", "x ", "😀")}
    assert len(hashes) == 8


def test_a_key_longer_than_a_block_is_refused_without_quoting_it():
    with pytest.raises(ValueError, match="at most 64 bytes, this one has 65") as caught:
        hmac_pads(b"secret" + bytes(59))
    assert "secret" not in str(caught.value)
