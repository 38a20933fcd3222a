"""What does the work on items: here (local.py) or on the workers of a cluster (ray_engine.py).

An engine decides where an item is worked on, and nothing else. Which items there are, in what order their results are
taken and when there are enough is for whoever maps it over them (``local.map_ordered``), the same for every engine.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Engine(Protocol[Item_contra, Result_co]):
    """Does the work on one item at a time, as many at once as it is asked to."""

    async def run(self, item: Item_contra) -> Result_co:
        """The item's result, or what the work raised. Cancelling it ends the work on the item."""
