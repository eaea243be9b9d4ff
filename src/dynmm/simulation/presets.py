"""A world that is ready to show what pictures and sounds are good for."""

from __future__ import annotations

from dynmm.simulation.settings import PictureConfig, SoundConfig, WorldConfig


def demo_world(users: int = 600, items: int = 300, events: int = 15_000) -> WorldConfig:
    """Six tastes: two that texts tell of, two that only pictures show, two that only sounds let hear.

    Users are single-minded, so most are after one thing that one modality alone tells: their best new item is
    explained by its picture, or by its sound, and by nothing else. The same as `examples/worlds/senses.json`.
    """
    third = 1 / 3
    return WorldConfig(
        name="senses",
        noun="clip",
        verb="watched",
        users=users,
        items=items,
        events=events,
        days=90,
        factors=6,
        categories=8,
        popularity_skew=0.4,
        taste_focus=0.1,
        item_spread=0.6,
        sequence=0.15,
        text_shows=third,
        pictures=PictureConfig(shows=third, follows=1.0),
        sounds=SoundConfig(shows=third, follows=1.0),
    )
