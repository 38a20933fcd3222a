"""The outermost client: a call that was ever made is answered from the journal, any other is made once and filed."""

from __future__ import annotations

import asyncio

from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.protocol import Client, Layer
from codeclm.errors import BudgetReached, CallFailed, JournalError
from codeclm.journal import Journal, call_key
from codeclm.records import Completion, Request


class Journaled(Layer):
    """Replays recorded calls; makes and files the others. Equal calls under way at the same time are made once."""

    def __init__(
        self, inner: Client, *, journal: Journal, endpoint: bytes, model: str, calls: Calls, stop: StopSwitch
    ) -> None:
        super().__init__(inner)
        self._stop = stop
        self._journal = journal
        self._endpoint = endpoint
        self._model = model
        self._calls = calls

    async def complete(self, request: Request) -> Completion:
        """The recorded completion, or a new one which is on disk before it is returned."""
        key = call_key(self._endpoint, request)
        call = self._calls.under_way.get(key)
        if call is None:
            recorded = self._journal.get(key)
            if recorded is not None:
                self._calls.replayed = self._journal.replayed
                return recorded
            call = self._calls.under_way[key] = asyncio.create_task(self._make(key, request))
            call.add_done_callback(self._calls.ended(key))
        # Shielded: whoever gives up waiting must not take the answer from the others, nor lose one that is paid for.
        return await asyncio.shield(call)

    async def again(self, failed: Request, anew: Request) -> bool:
        """Whether it was asked anew before, or is to be now: what an earlier process got, when failed ones are retried.

        The journal alone decides in a run that retries nothing, so that it comes to what the retrying one came to.
        """
        if self._journal.asked(call_key(self._endpoint, anew)):
            return True
        return self._calls.retrying_failed and self._journal.recorded(call_key(self._endpoint, failed)) == "earlier"

    async def _make(self, key: bytes, request: Request) -> Completion:
        try:
            completion = await self.inner.complete(request)
            await self._journal.put(key, completion, stage=request.stage, model=self._model)
        except (JournalError, BudgetReached, CallFailed) as error:
            if not isinstance(error, CallFailed) or error.fatal:
                self._stop.press(error)  # at once: every further call would be paid for and lost, or refused
            raise
        self._calls.made += 1
        self._calls.prompt_tokens += completion.usage.prompt_tokens
        self._calls.completion_tokens += completion.usage.completion_tokens
        return completion
