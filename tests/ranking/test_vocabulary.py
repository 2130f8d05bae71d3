import hashlib
import json

from pigeon_recsys.ranking.vocabulary import Vocabulary, fingerprint

KNOWN = ["ada", "bob", "eve"]


def test_every_known_id_has_a_row_of_its_own() -> None:
    vocabulary = Vocabulary.of(KNOWN, num_unseen=2)
    assert sorted(vocabulary.rows(KNOWN)) == [0, 1, 2]
    assert vocabulary.num_rows == 5


def test_ids_never_seen_share_the_last_rows_and_use_all_of_them() -> None:
    vocabulary = Vocabulary.of(KNOWN, num_unseen=2)
    rows = vocabulary.rows(f"new-{number}" for number in range(50))
    assert set(rows.tolist()) == {3, 4}


def test_rows_do_not_depend_on_the_order_of_the_ids() -> None:
    forward, backward = Vocabulary.of(KNOWN, 1), Vocabulary.of([*reversed(KNOWN), "ada"], 1)
    assert forward == backward


def test_a_fingerprint_is_a_hash_of_the_id_and_not_of_this_process() -> None:
    digest = hashlib.blake2b(b"ada", digest_size=8).digest()
    assert fingerprint("ada") == int.from_bytes(digest, "little")


def test_the_json_form_keeps_every_row_and_no_id_in_clear() -> None:
    vocabulary = Vocabulary.of(KNOWN, num_unseen=2)
    text = json.dumps(vocabulary.to_json())
    assert Vocabulary.from_json(json.loads(text)) == vocabulary
    assert not any(known in text for known in KNOWN)


def test_an_empty_vocabulary_sends_every_id_to_the_shared_rows() -> None:
    assert Vocabulary.of([], num_unseen=1).row("ada") == 0
