"""Contract suites, small data sets and readable fakes, shipped so that anyone can test a part of their own."""

from dynmm.testing.contract import (
    SYSTEM_CHECKS,
    ContractBroken,
    check_accuracy,
    check_system,
    require_sound,
    sequential_ndcg,
)
from dynmm.testing.data import dataset_of, tiny_dataset, without_last
from dynmm.testing.fakes import ConstantSystem, LastSeenSystem, OracleSystem
from dynmm.testing.state import state_hash

__all__ = [
    "SYSTEM_CHECKS",
    "ConstantSystem",
    "ContractBroken",
    "LastSeenSystem",
    "OracleSystem",
    "check_accuracy",
    "check_system",
    "dataset_of",
    "require_sound",
    "sequential_ndcg",
    "state_hash",
    "tiny_dataset",
    "without_last",
]
