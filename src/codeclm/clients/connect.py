"""From a model's configuration to a client ready to be asked: the handshake, and the layers in their order.

The handshake is one tiny fixed call (and one or two more to see whether JSON schemas are kept to); an embedding model
is asked for the vector of one word. It finds out, before money is spent, whether the endpoint is there, the key is good
and the model is known, and how the endpoint wants to be spoken to. What it learns is filed in the journal: a resumed
run does not ask again and so speaks in the same form.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from typing import Any

import aiohttp

from codeclm import events
from codeclm.batch_records import open_batches
from codeclm.clients.ask import complete_whole, read_reply
from codeclm.clients.batch_api import BatchApi
from codeclm.clients.batch_endpoint import BatchEndpoint, adopt
from codeclm.clients.batched import Batched, BatchQueue
from codeclm.clients.breaker import Breaker, Breaking
from codeclm.clients.budget import Budget, Budgeted
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.concurrency import Concurrency
from codeclm.clients.elsewhere import Elsewhere
from codeclm.clients.embedding import probe as embedding_probe
from codeclm.clients.faults import Faults
from codeclm.clients.http import HttpClient, ResponseFormat, Traits
from codeclm.clients.journaled import Journaled
from codeclm.clients.limited import Gate, Limited
from codeclm.clients.protocol import Client
from codeclm.clients.retrying import Retrying
from codeclm.clients.served import OwnServer, Served
from codeclm.config_models import ModelConfig
from codeclm.errors import CallFailed, RejectedRequest, ServerFailed
from codeclm.journal import Journal, endpoint_key, traits_key
from codeclm.prompts.questions import probe
from codeclm.prompts.templates import BUILT_IN, Templates
from codeclm.records import Completion, Request

# Few, so that a wrong base_url is told within seconds.
_HANDSHAKE_RETRIES = 3
# Samples of the probe that ask whether an endpoint is in order, each another one. They are not recorded.
_FIRST_EXAM = 1000
# Samples of the probe that ask for JSON, well after those that learn the parameters.
_FIRST_STYLE = 100
_STYLES: tuple[ResponseFormat, ...] = ("json_schema", "json_object")
# Calls that an endpoint in batch mode takes at once, as far as the number of slots under way goes.
_BATCH_CAPACITY = 10_000


@dataclass(frozen=True)
class Connections:
    """What all clients of a run share."""

    session: aiohttp.ClientSession
    journal: Journal
    stop: StopSwitch
    calls: Calls
    budget: Budget
    templates: Templates = BUILT_IN
    gates: dict[tuple[str, str], Gate] = field(default_factory=dict)
    breakers: dict[tuple[str, ...], Breaker] = field(default_factory=dict)
    queues: dict[bytes, BatchQueue] = field(default_factory=dict)

    async def connect(
        self, config: ModelConfig, *, name: str, base_url: str, server: OwnServer | None = None
    ) -> Client:
        """A client for ``config``, reached at ``base_url``; ``name`` is the model's place in the config, for messages.

        ``server`` is the one there if it is the run's own: it is started by the first call that is not recorded.

        Raises ConfigError for a missing environment variable and CallFailed when the endpoint can't be used.
        """
        self.stop.when_pressed(self.budget.close)
        http = HttpClient(config, self.session, base_url=base_url, name=name, traits=Traits())
        http.templates, http.server = self.templates, server
        key = endpoint_key(config)
        asked = traits_key(config)
        remembered = self.journal.traits(asked)
        if remembered is None:
            http.traits = await self._handshake(http, key)
            self.journal.remember(asked, asdict(http.traits))
            events.note("handshake_learnt", endpoint=f"models.{name}", model=config.model, **asdict(http.traits))
        else:
            http.traits = Traits(**remembered)
        if config.reply_form != "auto":
            http.traits = _with_form(http.traits, config)
        if config.batch:
            return self._batched(http, key)
        self.budget.ledger.account(key, config.model)
        adopt(self.budget, open_batches(self.journal, key), key)  # not asked after now, and yet not free
        return self._layered(http, key, retries=config.retries)

    def capacity(self) -> int:
        """How many calls there is room for now at all endpoints together, beside those that rest."""
        limits = sum(gate.limit for gate in self.gates.values())
        return limits + len(self.queues) * _BATCH_CAPACITY + self.calls.resting

    async def close(self) -> None:
        """Wait for what the clients began by themselves to end, once the run stops."""
        for queue in self.queues.values():
            await queue.close()

    def _batched(self, http: HttpClient, key: bytes) -> Client:
        """The client in its layers where its calls go into batches."""
        model = http.config.model
        self.budget.ledger.account(key, model)
        queue = self.queues.get(key)
        if queue is None:
            endpoint = BatchEndpoint(BatchApi(http), key, self.journal, self.calls, self.budget, self.stop.sleep)
            queue = self.queues[key] = BatchQueue(endpoint, self.stop)
        batched = Batched(http, queue=queue, endpoint=key)
        faults = Faults(model, self.calls, self.budget.ledger)
        retrying = Retrying(batched, retries=http.config.retries, sleep=self.stop.sleep, faults=faults)
        return Journaled(retrying, journal=self.journal, endpoint=key, model=model, calls=self.calls, stop=self.stop)

    def _layered(self, http: HttpClient, key: bytes, *, retries: int, patient: bool = True) -> Client:
        """The client in its layers; unless it is ``patient``, an outage of its endpoint is not waited out."""
        model = http.config.model
        faults = Faults(model, self.calls, self.budget.ledger)
        sending: Client = http
        if self.calls.workers and not http.server:
            only_there = http.config.serve is not None
            sending = Elsewhere(http, places=self.calls.workers, only_there=only_there, stop=self.stop)
        account = self.budget.ledger.account(key, model)
        budgeted = Budgeted(sending, http=http, budget=self.budget, account=account)
        asking = Served(budgeted, server=http.server, stop=self.stop) if http.server else budgeted
        breaker = self._breaker(http, asking, faults)
        limits = self._limits(http)
        gate = self.gates.setdefault((http.url, model), Gate(Concurrency(limits.max_in_flight)))
        gate.keep_to(limits)
        if gate not in self.calls.gates.values():
            self.calls.gates[http.name] = gate
        http.told = gate.told
        limited = Limited(Breaking(asking, breaker), gate=gate, stop=self.stop, calls=self.calls)
        retrying = Retrying(
            limited, retries=retries, sleep=self.stop.sleep, faults=faults, breaker=breaker if patient else None
        )
        return Journaled(retrying, journal=self.journal, endpoint=key, model=model, calls=self.calls, stop=self.stop)

    def _limits(self, http: HttpClient) -> ModelConfig:
        """A model's limits; each of the workers' own servers takes as many calls at once as one would."""
        config = http.config
        if self.calls.workers and config.serve and not http.server:
            return config.model_copy(update={"max_in_flight": self.calls.workers.wanted * config.max_in_flight})
        return config

    def _breaker(self, http: HttpClient, client: Client, faults: Faults) -> Breaker:
        """The breaker of an endpoint's model, whose exam is the handshake's plain question, asked by ``client``."""
        # An exam taken with one key tells nothing of another.
        config = http.config
        place = (http.url, config.model, config.api_key_env or "", repr(sorted(config.headers.items())))
        known = self.breakers.get(place)
        if known is None:
            samples = count(_FIRST_EXAM)

            def exam() -> Awaitable[Completion]:
                return client.complete(replace(_exam(config), sample=next(samples)))

            known = Breaker(f"models.{http.name}", exam, config=config, stop=self.stop, faults=faults)
            self.breakers[place] = known
            self.calls.breakers[f"models.{http.name}"] = known
        return known

    async def _handshake(self, http: HttpClient, key: bytes) -> Traits:
        """How the endpoint wants to be spoken to; raises CallFailed when it can't be spoken to at all."""
        retries = min(http.config.retries, _HANDSHAKE_RETRIES)
        client = self._layered(http, key, retries=retries, patient=False)
        if http.config.api == "embeddings":
            await client.complete(embedding_probe("handshake"))
            return http.traits
        await _learn_parameters(http, client)
        plain = http.traits
        if http.config.api == "chat" and http.config.reply_form != "text":
            client = self._layered(http, key, retries=retries)
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
    return Request(question.messages(client.form, client.templates), 0.0, question.schema, stage="handshake")


def _exam(config: ModelConfig) -> Request:
    if config.api == "embeddings":
        return embedding_probe("exam")
    return Request(probe().messages("text"), 0.0, stage="exam")


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
