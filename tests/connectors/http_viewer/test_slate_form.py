"""A form becomes a request, or all that is wrong with it is told."""

from urllib.parse import urlencode

import pytest

from pigeon_recsys.errors import RequestError
from pigeon_recsys.records import Reference
from pigeon_recsys_connectors.http_viewer.slate_form import MAX_FIELDS, SlateForm


def read(**fields: str) -> SlateForm:
    return SlateForm.read(urlencode(fields).encode())


def test_a_filled_form_is_a_request():
    form = read(
        user_id=" ada ",
        reference_item="sticker-7",
        reference_text="a bear",
        slate_size="5",
        deadline_ms="250.5",
    )
    request = form.to_request()
    assert (request.user_id, request.slate_size, request.deadline_ms) == ("ada", 5, 250.5)
    assert request.reference == Reference("sticker-7", "a bear")


def test_request_ids_say_where_they_come_from_and_differ():
    ids = {read(user_id="ada").to_request().request_id for _ in range(3)}
    assert len(ids) == 3
    assert all(request_id.startswith("viewer-") for request_id in ids)


def test_blank_fields_mean_no_reference_and_the_slots_deadline():
    request = read(user_id="ada", reference_item=" ", deadline_ms="").to_request()
    assert request.reference is None
    assert request.deadline_ms is None


def test_all_faults_are_told_at_once():
    with pytest.raises(RequestError) as told:
        read(user_id="", slate_size="many", deadline_ms="soon").to_request()
    assert told.value.faults == (
        "slate_size must be a whole number, got 'many'",
        "deadline_ms must be a number, got 'soon'",
        "user_id must not be empty",
    )


@pytest.mark.parametrize("deadline", ["-1", "1e9", "120000.1"])
def test_a_deadline_no_browser_waits_for_is_refused(deadline):
    with pytest.raises(RequestError, match="deadline_ms must be from 0 to 120000, got"):
        read(user_id="ada", deadline_ms=deadline).to_request()


@pytest.mark.parametrize("number", ["nan", "inf", "9" * 400, "9" * 5_000])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(RequestError, match="must be a"):
        read(user_id="ada", deadline_ms=number, slate_size=number).to_request()


def test_unknown_fields_and_broken_bytes_do_no_harm():
    form = SlateForm.read(b"user_id=%ff%fe\xff&__class__=x&to_request=x")
    assert form.user_id == "\ufffd\ufffd\ufffd"


def test_a_form_of_very_many_fields_is_refused():
    body = "&".join(f"f{number}=1" for number in range(MAX_FIELDS + 1)).encode()
    with pytest.raises(RequestError, match="form: has more than 20 fields"):
        SlateForm.read(body)
