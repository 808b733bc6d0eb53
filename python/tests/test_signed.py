"""SignedPickle: nothing is unpickled before its signature was compared, and none is good elsewhere."""

import copy
import hashlib
import hmac
import pickle
import subprocess
import sys

import pytest

from tierce import PackError, SignedPickle, UnpackError
from tierce.values import codec_of

KEY, OTHER = bytes(range(32)), b"k" * 64

ran = []


def run():
    ran.append(1)


class Evil:
    """Whose pickle runs something."""

    def __reduce__(self):
        return (run, ())


def codec(*keys, context="product:1"):
    return SignedPickle(*(keys or (KEY,))).codec(context, "product")


def refused(made, payload):
    ran.clear()
    with pytest.raises(UnpackError, match="^product: what is stored is not signed by a key of this cache"):
        made.unpack(payload)
    assert not ran, "it was unpickled"


def test_any_value_comes_back():
    made = codec()
    for value in ({1: {2, 3}}, [object, len], range(3), ArithmeticError("x").args):
        assert made.unpack(made.pack(value)) == value
    assert made.number() == 4 and codec_of(int, "f").number() == 1


def test_the_bytes_are_as_documented():
    derived = hmac.new(KEY, b"tierce.SignedPickle 1\0product:1", hashlib.sha256).digest()
    payload = codec().pack([1])
    assert payload[:32] == hmac.new(derived, payload[32:], hashlib.sha256).digest()
    assert pickle.loads(payload[32:]) == [1]


def test_what_is_not_signed_is_not_unpickled():
    made, evil = codec(), pickle.dumps(Evil())
    good = made.pack(Evil())
    for payload in (
        b"", evil, bytes(32) + evil, hashlib.sha256(evil).digest() + evil, hmac.digest(KEY, evil, "sha256") + evil,
        hmac.digest(b"", evil, "sha256") + evil, good[:32], good[:-1], good + b"\0", good[1:], bytes(good[:32]) + evil + b"x",
    ):  # fmt: skip
        refused(made, payload)
    ran.clear()
    made.unpack(good)
    assert ran == [1], "signed, it does run"


def test_every_changed_bit_is_refused():
    made = codec()
    good = made.pack(Evil())
    for at in range(len(good)):
        for bit in range(8):
            bytes_ = bytearray(good)
            bytes_[at] ^= 1 << bit
            refused(made, bytes(bytes_))


def test_a_payload_is_good_in_its_own_cache_alone():
    good = codec().pack(Evil())
    for context in ("product:2", "user:1", "", "product:1\0", "product"):
        refused(codec(context=context), good)


def test_keys_are_changed_one_after_the_other():
    old, both, new = codec(KEY), codec(OTHER, KEY), codec(OTHER)
    assert both.unpack(old.pack(1)) == 1 and new.unpack(both.pack(2)) == 2
    refused(old, both.pack(Evil()))
    refused(new, old.pack(Evil()))


def test_a_payload_names_no_algorithm():
    derived = hmac.digest(KEY, b"tierce.SignedPickle 1\0product:1", "sha256")
    evil = pickle.dumps(Evil())
    for name in ("md5", "sha1", "sha512", "sha3_256", "blake2s"):
        refused(codec(), hmac.digest(derived, evil, name) + evil)
        refused(codec(), hmac.digest(derived, evil, name)[:32].ljust(32, b"\0") + evil)


def test_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(one, other):
        compared.append((bytes(one), bytes(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    made = codec(OTHER, KEY)
    payload = made.pack(1)
    assert made.unpack(payload) == 1
    assert len(compared) == 2 and all(other == payload[:32] for _, other in compared), "each key, whichever fits"


@pytest.mark.parametrize("key", [b"", b"k" * 31, bytearray(31)])
def test_a_short_key_is_refused(key):
    with pytest.raises(ValueError, match="at least 32 bytes.*secrets.token_bytes"):
        SignedPickle(key)
    with pytest.raises(ValueError):
        SignedPickle(KEY, key)


@pytest.mark.parametrize("key", ["k" * 32, None, 32, [1] * 32])
def test_a_key_is_bytes(key):
    with pytest.raises(TypeError, match="is bytes"):
        SignedPickle(key)


def test_a_key_is_not_shown():
    signed = SignedPickle(b"secret" * 6)
    assert "secret" not in repr(signed) and not hasattr(signed, "__dict__")
    for take in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="secret keys"):
            take(signed)


def test_a_context_is_a_text():
    with pytest.raises(TypeError, match="a text is needed"):
        SignedPickle(KEY).codec(b"product", "product")


def test_what_cannot_be_pickled_says_so():
    with pytest.raises(PackError, match="^product: result cannot be pickled: "):
        codec().pack(lambda: 1)
    with pytest.raises(PackError):
        codec().pack([iter([]), open(sys.executable, "rb")])


class Gone:
    def __setstate__(self, state):
        raise ArithmeticError("mine")


def test_what_cannot_be_unpickled_any_more_is_a_miss():
    value = Gone()
    value.a = 1
    with pytest.raises(UnpackError, match="cannot be unpickled: mine") as caught:
        codec().unpack(codec().pack(value))
    assert isinstance(caught.value.__cause__, ArithmeticError)


def test_pickle_is_imported_by_who_asks_for_it():
    code = "import sys, tierce; tierce.SignedPickle; assert not {'pickle', 'hmac', 'hashlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
