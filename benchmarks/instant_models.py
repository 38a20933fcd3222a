"""Models that answer inside the process: what a run costs beside them is codeclm's own cost.

An :class:`InstantClient` stands where the client that speaks HTTP stands. It writes texts of made-up words, cheaply and
the same each time for the same messages, in the form each prompt of codeclm asks for. Of the instructions, 3 in 100
repeat another one, word for word or with two words changed. Answers are gapped widely enough for about 9 in 10 pairs to
be kept. All above the client is real: prompts, parsers, gates, the ledger, the journal.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from functools import cache

import orjson

from codeclm.clients.http import HttpClient
from codeclm.records import Completion, ReplyForm, Request, Usage

_WORDS = 30_000
_INSTRUCTION = 30  # words
_ANSWER = 120
_REPEATED = 2_000  # instructions that come again and again


class InstantClient(HttpClient):
    """An endpoint of the config that answers at once."""

    @property
    def form(self) -> ReplyForm:
        """It keeps to schemas."""
        return "json"

    async def complete(self, request: Request) -> Completion:
        """A reply in the form that the request's stage asks for. One turn of the event loop, as any reply takes."""
        await asyncio.sleep(0)
        said = "\x1e".join(message.content for message in request.messages)
        text = _reply(self.config.model, request.stage, said, request.sample)
        return Completion(text, usage=Usage(len(said) // 4, len(text) // 4))


def seed_text(number: int) -> str:
    """The seed of this number."""
    return _text(random.Random(f"seed {number}"), _INSTRUCTION)


def _reply(model: str, stage: str, said: str, sample: int) -> str:
    digest = hashlib.blake2b(f"{model}/{stage}/{sample}/{said}".encode(), digest_size=8).digest()
    draws = random.Random(int.from_bytes(digest, "big"))
    match stage:
        case "encode":
            return _json(use_case=_use_case(draws), skills=[_skill(draws) for _ in range(3)])
        case "reasonable":
            return _json(reasonable=draws.random() < 0.8)
        case "decode":
            return _json(instructions=[_instruction(draws) for _ in range(5)])
        case "rubrics":
            return _json(rubrics=[{"rubric": _text(draws, 10), "action": _text(draws, 12)} for _ in range(4)])
        case "improve":
            return _json(instruction=f"{_text(draws, 12)} {said[-150:]}")
        case "judge":
            return _scores(said)
        case "handshake":
            return _json(ready=True)
    return _text(draws, _ANSWER)


def _scores(said: str) -> str:
    """Scores that hang on the pair of answers and not on their order: the strong answer's marks are in its words."""
    total = sum(said.encode())  # the same whichever answer comes first
    first, second = (9.0, 4.0) if total % 10 else (7.0, 6.0)
    return _json(score_1=first, score_2=second)


def _instruction(draws: random.Random) -> str:
    chance = draws.random()
    if chance < 0.03:
        text = _text(random.Random(draws.randrange(_REPEATED)), _INSTRUCTION)
        return text if chance < 0.015 else text.rsplit(" ", 2)[0] + f" {draws.choice(_words())}."
    return _text(draws, _INSTRUCTION)


def _text(draws: random.Random, count: int) -> str:
    return " ".join(draws.choices(_words(), k=count)).capitalize() + "."


def _use_case(draws: random.Random) -> str:
    return f"{_words()[draws.randrange(200)]} {_words()[200 + draws.randrange(100)]}"


def _skill(draws: random.Random) -> str:
    return f"{_words()[400 + draws.randrange(1000)]} {_words()[1500 + draws.randrange(5)]}"


def _json(**fields: object) -> str:
    return orjson.dumps(fields).decode()


@cache
def _words() -> tuple[str, ...]:
    """Made-up words of two to four syllables."""
    draws = random.Random("words")
    syllables = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "ai")]
    made = {"".join(draws.choices(syllables, k=draws.choice((2, 3, 3, 4)))) for _ in range(2 * _WORDS)}
    return tuple(sorted(made))[:_WORDS]
