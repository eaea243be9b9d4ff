"""Splits: which events train, which select, which test. See each module for one kind."""

from dynmm.interactions.splits.deletion import after_deletion
from dynmm.interactions.splits.front import make_split
from dynmm.interactions.splits.leaving import without_user
from dynmm.interactions.splits.settings import SplitConfig
from dynmm.interactions.splits.split import TEST, TRAIN, UNUSED, VALIDATION, Split

__all__ = [
    "TEST",
    "TRAIN",
    "UNUSED",
    "VALIDATION",
    "Split",
    "SplitConfig",
    "after_deletion",
    "make_split",
    "without_user",
]
