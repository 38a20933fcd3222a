"""Pickles of many small records: a frozen dataclass as its class and the values of its fields.

The standard library's way goes through Python code for every one of them, which costs four times as much. Values come
out as they went in; only classes whose fields are all given to their ``__init__`` are treated so.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any

_Values = Callable[[Any], tuple[Any, ...]]
_KNOWN: dict[type, _Values | None] = {}


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """As pickle calls it for whatever it has no way of its own for."""
        kind = type(value)
        if kind not in _KNOWN:
            _KNOWN[kind] = _values_of(kind)
        values = _KNOWN[kind]
        return NotImplemented if values is None else (kind, values(value))


def dumps(value: Any) -> bytes:
    """The pickle of a value. Raises whatever pickling a part of it raises."""
    into = io.BytesIO()
    _Pickler(into, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return into.getvalue()


def _values_of(kind: type) -> _Values | None:
    """What gives the arguments that a record of a class is made of; None for other classes."""
    made = getattr(kind, "__dataclass_params__", None)
    if not (made and made.frozen and made.init) or "__reduce__" in vars(kind):
        return None
    fields = dataclasses.fields(kind)
    if not fields or not all(field.init and not field.kw_only for field in fields) or hasattr(kind, "__post_init__"):
        return None
    get = attrgetter(*(field.name for field in fields))
    return get if len(fields) > 1 else lambda value: (get(value),)
