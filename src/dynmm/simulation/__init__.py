"""A seeded world with known tastes, for property tests that need a truth and scale tests that need a load."""

from dynmm.simulation.choices import CAUSES
from dynmm.simulation.presets import demo_world
from dynmm.simulation.settings import (
    AttackConfig,
    BurstConfig,
    GradualDrift,
    NoDrift,
    PictureConfig,
    RecurringDrift,
    SoundConfig,
    SuddenDrift,
    WorldConfig,
)
from dynmm.simulation.world import World, simulate

__all__ = [
    "CAUSES",
    "AttackConfig",
    "BurstConfig",
    "GradualDrift",
    "NoDrift",
    "PictureConfig",
    "RecurringDrift",
    "SoundConfig",
    "SuddenDrift",
    "World",
    "WorldConfig",
    "demo_world",
    "simulate",
]
