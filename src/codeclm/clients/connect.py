"""From a model's configuration to a client ready to be asked: the handshake, and the layers in their order.

The handshake is one tiny fixed call (and one or two more to see whether JSON schemas are kept to). It finds out, before
money is spent, whether the endpoint is there, the key is good and the model is known, and how the endpoint wants to be
spoken to. What it learns is filed in the journal: a resumed run does not ask again and so speaks in the same form.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any

import aiohttp

from codeclm.clients.ask import complete_whole, read_reply
from codeclm.clients.budget import Budget, Budgeted
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.http import HttpClient, ResponseFormat, Traits
from codeclm.clients.journaled import Journaled
from codeclm.clients.limited import Limited, Places
from codeclm.clients.protocol import Client
from codeclm.clients.retrying import Retrying
from codeclm.config import ModelConfig
from codeclm.errors import CallFailed, RejectedRequest, ServerFailed
from codeclm.journal import Journal, endpoint_key, traits_key
from codeclm.prompts.questions import probe
from codeclm.records import Request

# Few, so that a wrong base_url is told at once.
_HANDSHAKE_RETRIES = 2
# After the handshake: so many refused keys, unknown models or broken connections in a row are put down to the calls.
_TOLERATED = 4
# Samples of the probe that ask for JSON, well after those that learn the parameters.
_FIRST_STYLE = 100
_STYLES: tuple[ResponseFormat, ...] = ("json_schema", "json_object")


@dataclass(frozen=True)
class Connections:
    """What all clients of a run share."""

    session: aiohttp.ClientSession
    journal: Journal
    stop: StopSwitch
    calls: Calls
    budget: Budget
    places: dict[tuple[str, str], Places] = field(default_factory=dict)

    async def connect(self, config: ModelConfig, *, name: str, base_url: str) -> Client:
        """A client for ``config``, reached at ``base_url``; ``name`` is the model's place in the config, for messages.

        Raises ConfigError for a missing environment variable and CallFailed when the endpoint can't be used.
        """
        http = HttpClient(config, self.session, base_url=base_url, name=name, traits=Traits())
        key = endpoint_key(config)
        asked = traits_key(config)
        remembered = self.journal.traits(asked)
        if remembered is None:
            http.traits = await self._handshake(http, key)
            self.journal.remember(asked, asdict(http.traits))
        else:
            http.traits = Traits(**remembered)
        if config.reply_form != "auto":
            http.traits = _with_form(http.traits, config)
        return self._layered(http, key, retries=config.retries, tolerated=_TOLERATED)

    def capacity(self) -> int:
        """How many calls all endpoints together take at once now."""
        return sum(places.limit for places in self.places.values())

    def _layered(self, http: HttpClient, key: bytes, *, retries: int, tolerated: int = 0) -> Client:
        model = http.config.model
        places = self.places.setdefault((http.url, model), Places(http.config.max_in_flight))
        budgeted = Budgeted(http, budget=self.budget, account=self.budget.ledger.account(key, model))
        limited = Limited(budgeted, places=places, stop=self.stop, calls=self.calls)
        retrying = Retrying(limited, retries=retries, sleep=self.stop.sleep, calls=self.calls, tolerated=tolerated)
        return Journaled(retrying, journal=self.journal, endpoint=key, model=model, calls=self.calls, stop=self.stop)

    async def _handshake(self, http: HttpClient, key: bytes) -> Traits:
        """How the endpoint wants to be spoken to; raises CallFailed when it can't be spoken to at all."""
        client = self._layered(http, key, retries=min(http.config.retries, _HANDSHAKE_RETRIES))
        await _learn_parameters(http, client)
        plain = http.traits
        if http.config.api == "chat" and http.config.reply_form != "text":
            client = self._layered(http, key, retries=http.config.retries)
            for sample, style in enumerate(_STYLES, start=_FIRST_STYLE):
                http.traits = replace(plain, response_format=style)
                if await _keeps_to_json(client, sample):
                    return http.traits
        return plain


async def _learn_parameters(http: HttpClient, client: Client) -> None:
    """Leave ``http`` with the fewest changes to the usual parameters that the endpoint accepts.

    A refusal may name fields only to list what is valid, so each change it suggests is tried alone, then all together.
    Each way of speaking is a sample of its own: a run killed here learns the same from its recorded calls.
    """
    samples = count()
    refusal = await _refusal(client, next(samples))
    while refusal:
        usual = http.traits
        changes = _suggested(usual, refusal.raw)
        if not changes:
            raise refusal
        together = {name: value for change in changes for name, value in change.items()}
        for change in (*changes, together):
            http.traits = replace(usual, **change)
            if not (refusal := await _refusal(client, next(samples))):
                return


async def _refusal(client: Client, sample: int) -> RejectedRequest | None:
    try:
        await client.complete(replace(_probe_request(client), sample=sample))
    except RejectedRequest as error:
        return error
    return None


async def _keeps_to_json(client: Client, sample: int) -> bool:
    """Whether a reply asked for with a JSON schema is JSON of that schema."""
    try:
        completion = await complete_whole(client, replace(_probe_request(client), sample=sample))
        return read_reply(probe(), completion, "json")
    except CallFailed as error:
        # Some servers answer 500 to a schema they don't know; what may pass by waiting proves nothing either way.
        if error.fatal or (error.retriable and not isinstance(error, ServerFailed)):
            raise
        return False


def _probe_request(client: Client) -> Request:
    question = probe()
    return Request(question.messages(client.form), 0.0, question.schema, stage="handshake")


def _suggested(traits: Traits, refusal: str) -> list[dict[str, Any]]:
    """The changes to the traits that a refusal's text may be asking for, each by itself."""
    refusal = refusal.lower()
    changes: list[dict[str, Any]] = []
    if "max_completion_tokens" in refusal and traits.tokens_field == "max_tokens":
        changes.append({"tokens_field": "max_completion_tokens"})
    changes += [{name: False} for name in ("temperature", "seed") if name in refusal and getattr(traits, name)]
    return changes


def _with_form(traits: Traits, config: ModelConfig) -> Traits:
    if config.reply_form == "text":
        return replace(traits, response_format="none")
    return traits if traits.response_format != "none" else replace(traits, response_format="json_schema")
