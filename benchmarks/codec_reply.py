"""What the fixed-latency server answers when codeclm's own pipeline is measured: the simulated models' replies.

The request's `user` field names the simulated model, so that both models can sit behind one limit of calls in flight.
"""

from typing import Any

from codeclm.simulator.models import DEFAULT_STRONG, DEFAULT_TARGET
from codeclm.simulator.world import reply as simulated

_MODELS = {"strong": DEFAULT_STRONG, "target": DEFAULT_TARGET}


def reply(body: dict[str, Any]) -> str:
    """The reply of the model that the request names."""
    model = _MODELS[body["user"]]
    return simulated(model, body["messages"], temperature=body["temperature"], seed=body["seed"])
