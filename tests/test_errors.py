"""The tree of errors and its one table."""

import inspect

import pytest

from comity.crdt_types import errors
from comity.crdt_types.errors import ANSWERS, ComityError, answer_for, error_for, is_permanent

CLASSES = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, ComityError)]


@pytest.mark.parametrize("error", CLASSES)
def test_errors_each_stand_in_the_drawing_and_have_an_answer(error: type[ComityError]) -> None:
    assert f" {error.__name__} " in f" {errors.__doc__} ".replace("\n", " ")
    status, close_code = answer_for(error)
    assert 400 <= status < 600
    assert 4400 <= close_code < 4600
    assert error("what").http_status == status
    assert error("what").close_code == close_code


def test_errors_that_are_permanent_are_the_clients_own() -> None:
    for error, (status, close_code) in ANSWERS.items():
        assert is_permanent(close_code) == (status < 500 and status != 429), error


@pytest.mark.parametrize("close_code", sorted({answer.close_code for answer in ANSWERS.values()} - {4500}))
def test_errors_are_told_by_their_close_codes(close_code: int) -> None:
    error = error_for(close_code, "why", "room")
    assert error.close_code == close_code
    assert str(error) == "room: why"


def test_errors_of_a_message_too_large_for_the_transport_are_permanent() -> None:
    assert is_permanent(error_for(1009, "", "room").close_code)
    assert not is_permanent(error_for(1006, "", "room").close_code)


def test_errors_say_what_happened_to_what_and_what_to_do() -> None:
    error = ComityError("it broke", subject="the cup", remedy="glue it")
    assert (error.what, error.subject, error.remedy) == ("it broke", "the cup", "glue it")
    assert str(error) == "the cup: it broke; glue it"
    assert str(ComityError("it broke")) == "it broke"
