"""The one thing the stages know of a model."""

from __future__ import annotations

from typing import Protocol

from codeclm.records import Completion, ReplyForm, Request


class Client(Protocol):
    """A model that can be asked. Layers wrap one another and all look like this."""

    @property
    def form(self) -> ReplyForm:
        """The reply form to ask for: ``json`` where the endpoint was seen to keep to a schema."""

    @property
    def max_tokens(self) -> int:
        """The most tokens one reply may have."""

    async def complete(self, request: Request) -> Completion:
        """The model's completion. Raises :class:`~codeclm.errors.CallFailed` when there is none."""

    def again(self, failed: Request, anew: Request) -> bool:
        """Whether a question whose replies were of no use is asked ``anew``; ``failed`` is how it was asked first."""


class Layer:
    """What every wrapping client shares: the answers about the endpoint come from the innermost one."""

    def __init__(self, inner: Client) -> None:
        self.inner = inner

    @property
    def form(self) -> ReplyForm:
        """The innermost client's reply form."""
        return self.inner.form

    @property
    def max_tokens(self) -> int:
        """The innermost client's limit."""
        return self.inner.max_tokens

    def again(self, failed: Request, anew: Request) -> bool:
        """What the layer below says."""
        return self.inner.again(failed, anew)
