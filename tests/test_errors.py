"""The error tree: what is what, and that every error survives the way through another process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from codeclm import errors
from codeclm.errors import CallFailed, CodecLMError


def _tree(kind: type[CodecLMError]) -> Iterator[type[CodecLMError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


# Other tests may derive errors of their own; the tree is what the module defines.
ALL = [kind for kind in _tree(CodecLMError) if kind.__module__ == errors.__name__]
CALL_ERRORS = [kind for kind in ALL if issubclass(kind, CallFailed)]
FINAL = [kind for kind in CALL_ERRORS if kind is not CallFailed]


def test_the_tree_is_flat_and_listed_whole() -> None:
    assert sorted(kind.__name__ for kind in ALL) == errors.__all__
    assert {kind.__bases__ for kind in ALL} == {(Exception,), (CodecLMError,), (CallFailed,)}


@pytest.mark.parametrize("kind", CALL_ERRORS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_error_survives_pickling_with_its_fields(kind: type[CallFailed], protocol: int) -> None:
    error = kind("what happened", raw="the body", retry_after=2.5)
    error.attempts = 7
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is kind
    assert (str(again), again.args) == ("what happened", ("what happened",))
    assert (again.message, again.raw, again.retry_after, again.attempts) == ("what happened", "the body", 2.5, 7)
    assert vars(copy.copy(error)) == vars(error)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in CALL_ERRORS])
def test_every_other_error_survives_pickling(kind: type[CodecLMError]) -> None:
    again = pickle.loads(pickle.dumps(kind("here: what. Do that.")))
    assert (type(again), str(again)) == (kind, "here: what. Do that.")


def test_each_call_error_has_a_cause_of_its_own() -> None:
    causes = [kind.cause for kind in CALL_ERRORS]
    assert len(set(causes)) == len(causes)
    assert all(cause.replace("_", "").isalpha() and cause.islower() for cause in causes)


def test_what_waiting_can_mend_is_retried_and_what_it_cannot_stops_the_run() -> None:
    assert {kind.cause for kind in FINAL if kind.fatal} == {"connection", "auth", "unknown_model", "quota"}
    assert {kind.cause for kind in FINAL if kind.retriable} == {
        "connection", "timeout", "rate", "server", "malformed", "expired", "worker"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
def test_each_error_says_what_it_is(kind: type[CodecLMError]) -> None:
    assert kind.__doc__
    assert kind.__doc__ != CodecLMError.__doc__ or kind is CodecLMError


def test_a_new_call_error_was_tried_once_and_holds_nothing() -> None:
    error = CallFailed("what")
    assert (error.raw, error.retry_after, error.attempts, error.fatal, error.retriable) == ("", None, 1, False, False)
