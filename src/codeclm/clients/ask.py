"""Asking a question and getting a usable reply: the one place where replies are read and asked for again.

Every completion that comes back is paid for and recorded, so asking again is a new call under a new key, and a resumed
run finds the same sequence of attempts. Three reasons to ask again are kept apart:

- a reply cut off before its own token limit was cut by something else (a proxy, a full context): the very same request
  is sent again, so that a passing fault never changes a result;
- a reply not in the form asked for is asked for again as another sample;
- a question none of whose samples gave a usable reply is asked anew, as a generation of other samples, when the user
  wants failed ones retried. Which generations there are is in the journal, so later runs find the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from typing import TypeVar

from codeclm.clients.faults import cut_early
from codeclm.clients.protocol import Client
from codeclm.errors import ContentFiltered, EmptyReply, Refused, Truncated, Unparseable
from codeclm.prompts.questions import Question
from codeclm.records import Answer, Completion, Message, ReplyForm, Request

T = TypeVar("T")

ATTEMPTS = 3
# Of a reply cut off before its limit: so many that faults at random never come to a reply taken as it is.
SENDINGS = 5
# Samples between one generation of a question and the next, far more than anyone asks for side by side.
_GENERATION = 1_000_000
# Failures that are in what a model replied, and so in the journal.
_OF_NO_USE = (Unparseable, Truncated, EmptyReply, Refused, ContentFiltered)


async def ask(client: Client, question: Question[T], *, temperature: float, sample: int = 0) -> T:
    """The reply to ``question``, read strictly. ``sample`` tells apart several replies wanted to the same question.

    Raises CallFailed (with ``attempts`` and the ``raw`` text) when no attempt gave a usable reply.
    """
    form = client.form

    async def attempts(first: Request) -> T:
        for attempt in count():
            try:
                completion = await complete_whole(client, _sampled(first, attempt))
                return read_reply(question, completion, form)
            except (Unparseable, Truncated, EmptyReply) as error:
                error.attempts = attempt + 1
                if error.attempts == ATTEMPTS:
                    raise
        raise AssertionError  # count() does not end

    schema = question.schema if form == "json" else None
    request = Request(
        question.messages(form, client.templates),
        temperature,
        schema,
        sample * ATTEMPTS,
        stage=question.stage or question.name,
    )
    return await _generations(client, request, attempts)


async def answer(client: Client, instruction: str, *, temperature: float, stage: str) -> Answer:
    """The model's own answer to an instruction; raises CallFailed when there is none to be had."""

    async def attempts(first: Request) -> Answer:
        for attempt in range(ATTEMPTS):
            completion = await complete_whole(client, _sampled(first, attempt))
            truncated = completion.finish_reason == "length"
            if completion.text.strip():
                return Answer(completion.text.strip(), truncated)
        kind = Truncated if truncated else EmptyReply
        error = kind(
            "the model gave no answer" + (" within its token limit" if truncated else ""), raw=completion.reasoning
        )
        error.attempts = ATTEMPTS
        raise error

    return await _generations(client, Request((Message("user", instruction),), temperature, stage=stage), attempts)


async def _generations(client: Client, first: Request, attempts: Callable[[Request], Awaitable[T]]) -> T:
    """What the attempts from ``first`` on come to; where the replies were of no use, those of the next generation."""
    tried = 0
    while True:
        try:
            return await attempts(first)
        except _OF_NO_USE as error:
            tried += error.attempts
            error.attempts = tried
            anew = replace(first, sample=first.sample + _GENERATION)
            if not await client.again(first, anew):
                raise
            first = anew


def _sampled(first: Request, further: int) -> Request:
    """The request of the sample that is so many after the first."""
    return replace(first, sample=first.sample + further) if further else first


async def complete_whole(client: Client, request: Request) -> Completion:
    """A completion that is neither refused nor filtered, sent again while it is cut before its limit."""
    for attempt in range(SENDINGS):
        completion = await client.complete(replace(request, attempt=attempt) if attempt else request)
        if not cut_early(completion, client.max_tokens):
            break
    if completion.refusal:
        raise Refused("the model declined", raw=completion.refusal)
    if completion.finish_reason == "content_filter":
        raise ContentFiltered("the provider's content filter withheld the reply", raw=completion.text)
    return completion


def read_reply(question: Question[T], completion: Completion, form: ReplyForm) -> T:
    """What a completion says; raises EmptyReply, Truncated or Unparseable when it says nothing usable."""
    truncated = completion.finish_reason == "length"
    if not completion.text.strip() and not truncated:
        raise EmptyReply("the model replied with no text", raw=completion.reasoning)
    try:
        return question.parse(completion.text, form, truncated=truncated)
    except Unparseable:
        if truncated:
            raise Truncated(
                "the reply was cut off by the token limit; raise `max_tokens`", raw=completion.text
            ) from None
        raise


async def together(*calls: Awaitable[T]) -> list[T]:
    """The results of calls made at the same time. Of several errors it raises the first by position, not by time."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
