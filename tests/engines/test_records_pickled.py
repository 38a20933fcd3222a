"""Records come out of a pickle as they went in, whatever they are made of."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.engines.records_pickled import dumps
from codeclm.errors import RateLimited, WorkerLost
from codeclm.records import Answer, Comparison, Completion, Instruction, Iteration, Message, Request, Usage


@dataclass(frozen=True)
class Unnamed:
    """A record without a field."""


@dataclass
class Counted:
    """A record that its class makes more of than it is given."""

    given: int
    made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.made = self.given + 1


texts = st.text(max_size=40)
requests = st.builds(
    Request,
    st.lists(st.builds(Message, st.sampled_from(["user", "system"]), texts), max_size=3).map(tuple),
    st.floats(0, 2),
    sample=st.integers(0, 2**70),
    stage=texts,
)
completions = st.builds(
    Completion, texts, usage=st.builds(Usage, st.integers(0, 10**9), st.integers(0, 10**9)), reasoning=texts
)
iterations = st.builds(
    Iteration,
    st.builds(Instruction, texts),
    st.none() | st.builds(Answer, texts, st.booleans()),
    st.none() | st.builds(Answer, texts),
    st.none()
    | st.builds(Comparison, st.tuples(st.floats(1, 10), st.floats(1, 10)), st.tuples(st.just(1.0), st.just(2.0))),
)


@given(st.lists(requests | completions | iterations, max_size=5))
def test_records_come_out_as_they_went_in(records: list[Any]) -> None:
    assert pickle.loads(dumps(records)) == records


@pytest.mark.parametrize("value", [Unnamed(), Counted(3), {"a": (1, None)}, "text", [b"x", {1, 2}]])
def test_other_values_come_out_too(value: Any) -> None:
    assert pickle.loads(dumps(value)) == value


def test_an_error_keeps_its_fields() -> None:
    error = RateLimited("slow down", raw="{}", retry_after=3.5)
    error.attempts, error.fatal = 4, True
    back = pickle.loads(dumps(("error", error)))[1]
    assert (type(back), back.message, back.__dict__) == (RateLimited, "slow down", error.__dict__)
    assert pickle.loads(dumps(WorkerLost("gone"))).retriable


def test_records_take_less_than_as_the_standard_library_has_them() -> None:
    many = [Completion(f"text {number}", usage=Usage(number, number)) for number in range(200)]
    assert len(dumps(many)) <= len(pickle.dumps(many, protocol=pickle.HIGHEST_PROTOCOL))


@dataclass
class Growing:
    """What is given more than its fields, and may hold itself."""

    given: Any


def test_what_is_not_frozen_keeps_what_was_added_to_it() -> None:
    growing = Growing(1)
    growing.given, growing.added = growing, 2  # type: ignore[attr-defined]
    out = pickle.loads(dumps(growing))
    assert out.given is out
    assert out.added == 2
