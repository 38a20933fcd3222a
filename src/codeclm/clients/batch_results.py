"""From the files of a batch that has ended to the calls that wait for its lines.

Results are handed on in pieces, as they come in, and a piece is in the journal before the next is read: a kill half-way
loses nothing that was read. A call leaves the batch's record when its answer is filed, or when it is owed again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from codeclm import batch_records
from codeclm.batch_records import BatchCall, BatchRecord
from codeclm.clients.batch_api import BatchState
from codeclm.clients.batch_endpoint import BatchEndpoint
from codeclm.errors import CallFailed, Expired, QuotaExhausted, UnknownModel
from codeclm.ledger import NOTHING
from codeclm.records import Completion, Request, Usage


@dataclass(frozen=True, slots=True)
class Parked:
    """A call that waits for a batch, to be sent in it or to be answered by it; the lowest ``turn`` is sent first."""

    key: bytes
    request: Request
    turn: int
    answer: asyncio.Future[Completion]

    def fail(self, error: BaseException) -> None:
        """End it badly."""
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # seen, even if whoever waited is gone


@dataclass(slots=True)
class OpenBatch:
    """A batch under way: its record, the calls ``left`` in it, who waits for them, and answers nobody has asked for.

    An answer without anyone waiting is kept in ``arrived`` until somebody has ``claimed`` it, or until it is certain
    that nobody is about to.
    """

    record: BatchRecord
    left: dict[bytes, BatchCall]
    waiting: dict[bytes, Parked] = field(default_factory=dict)
    arrived: dict[bytes, tuple[BatchCall, Completion]] = field(default_factory=dict)
    claimed: set[bytes] = field(default_factory=set)
    fruitful: bool = False
    """Whether any line was answered: then the endpoint is in order, whatever others say."""

    @classmethod
    def of(cls, record: BatchRecord) -> OpenBatch:
        """A recorded batch, with all its calls left."""
        return cls(record, {call.key: call for call in record.calls})


async def collect(endpoint: BatchEndpoint, batch: OpenBatch, state: BatchState) -> None:
    """Hand on everything a batch that has ended came to; what it left unanswered is owed again."""
    for file_id in state.files:
        try:
            await endpoint.insist(lambda file_id=file_id: _read(endpoint, batch, file_id))  # type: ignore[misc]
        except UnknownModel:  # deleted, or kept for so long only
            continue
    # A line that is missing where none should be may have been paid for.
    cost = None if state.status == "completed" else NOTHING
    reason = f"{endpoint.where}: batch {state.id} ended ({state.status}) without an answer to this call."
    _owe(endpoint, batch, {key: Expired(reason) for key in batch.left}, cost=cost)


async def _read(endpoint: BatchEndpoint, batch: OpenBatch, file_id: str) -> None:
    async for lines in endpoint.api.content(file_id):
        latency = max(0.0, time.time() - batch.record.made_at)
        answers: dict[bytes, Completion] = {}
        errors: dict[bytes, CallFailed] = {}
        for line in filter(None, (endpoint.api.read(raw, latency) for raw in lines)):
            batch.fruitful = batch.fruitful or isinstance(line.outcome, Completion)
            if line.key not in batch.left:
                continue  # it was read before, by this process or by another
            if isinstance(line.outcome, Completion):
                answers[line.key] = line.outcome
            else:
                errors[line.key] = line.outcome
        _owe(endpoint, batch, {key: error for key, error in errors.items() if key not in answers})
        await _answer(endpoint, batch, answers)


async def _answer(endpoint: BatchEndpoint, batch: OpenBatch, answers: Mapping[bytes, Completion]) -> None:
    """Hand on the answers, and go on when those that somebody waited for are filed."""
    filing = []
    for key, completion in answers.items():
        call, parked = batch.left.pop(key), batch.waiting.pop(key, None)
        if parked is None or parked.answer.done():
            batch.arrived[key] = call, completion
            continue
        endpoint.settle(call.most, cost_of(completion))
        parked.answer.set_result(completion)
        if under_way := endpoint.calls.under_way.get(key):
            filing.append(under_way)
    if filing:
        await asyncio.wait(filing)
        batch_records.answered(endpoint.journal, batch.record.token, answers)


def _owe(
    endpoint: BatchEndpoint, batch: OpenBatch, errors: Mapping[bytes, CallFailed], *, cost: Usage | None = NOTHING
) -> None:
    """Give calls back to whoever asked for them, each with its error; they cost ``cost`` unless the error knows better.

    That they are out of the record and what they cost are written in one transaction.
    """
    batch_records.owed(endpoint.journal, batch.record.token, errors)
    for key, error in errors.items():
        endpoint.settle(batch.left.pop(key).most, cost if error.free else None)
        # One bad line among good ones tells nothing of the endpoint; an account without credit does.
        error.fatal = error.fatal and (not batch.fruitful or isinstance(error, QuotaExhausted))
        if parked := batch.waiting.pop(key, None):
            parked.fail(error)


async def file_unclaimed(endpoint: BatchEndpoint, batch: OpenBatch) -> None:
    """File the answers nobody has asked for, as soon as nobody can be about to.

    Those that were claimed in the meantime are filed as well when this returns.
    """
    calls = endpoint.calls
    # Live calls that wait for room in the budget may wait for what these answers leave of it.
    while batch.arrived and len(calls.under_way) > calls.parked + endpoint.budget.waiting:
        await endpoint.sleep(endpoint.times.quiet)
    # From here to the flush nothing else runs: whoever asks next finds the answer in the journal.
    for key, (call, completion) in batch.arrived.items():
        endpoint.settle(call.most, cost_of(completion))
        endpoint.journal.put(key, completion, stage=call.stage, model=endpoint.model)
    batch.arrived.clear()
    endpoint.journal.flush()
    if filing := [task for key in batch.claimed if (task := endpoint.calls.under_way.get(key))]:
        await asyncio.wait(filing)


def cost_of(completion: Completion) -> Usage | None:
    """The tokens a completion cost; None where the server did not count them."""
    return completion.usage if completion.usage.total else None
