"""Simulated models behind a real HTTP server: the test double that ships with the product.

``SimulatedModel`` says what a model can do, ``SimulatorOptions`` how it is reached. ``world.reply`` is what a model
says, without a server; ``server.Simulator`` and ``server.serve`` put it behind one (and need aiohttp).
"""

from codeclm.simulator.models import DEFAULT_JUDGE, DEFAULT_STRONG, DEFAULT_TARGET, SimulatedModel
from codeclm.simulator.options import SimulatorOptions

__all__ = ["DEFAULT_JUDGE", "DEFAULT_STRONG", "DEFAULT_TARGET", "SimulatedModel", "SimulatorOptions"]
