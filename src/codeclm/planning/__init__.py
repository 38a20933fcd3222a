"""What a run will take: a rehearsal on the simulator, scaled by a probe of the real models. See plan.py."""
