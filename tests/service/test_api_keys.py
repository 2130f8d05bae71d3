"""Keys are random, kept as hashes, and found by what is presented."""

from pigeon_recsys.service.api_keys import HASH_DIGITS, ApiKey, Keyring, key_hash, new_key


def test_a_key_is_found_by_itself_alone() -> None:
    key, other = new_key(), new_key()
    kept = ApiKey("feed", key_hash(key), frozenset({"slates"}))
    ring = Keyring([ApiKey("else", key_hash(other), frozenset()), kept])
    assert ring.find(key) == kept
    for presented in ("", key[:-1], key + "x", key_hash(key), "é", "\udc80"):
        assert ring.find(presented) is None


def test_no_two_keys_are_the_same_and_hashes_do_not_hold_them() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key_hash(key)) == HASH_DIGITS and key not in key_hash(key) for key in keys)


def test_a_ring_without_keys_is_empty() -> None:
    assert not Keyring([])
    assert Keyring([ApiKey("feed", key_hash("k"), frozenset())])
