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
from dynmm.testing.encoder_contract import ENCODER_CHECKS, check_encoder
from dynmm.testing.fakes import ConstantSystem, LastSeenSystem, OracleSystem
from dynmm.testing.log_contract import LOG_CHECKS, check_log
from dynmm.testing.samples import sample_contents
from dynmm.testing.state import state_hash

__all__ = [
    "ENCODER_CHECKS",
    "LOG_CHECKS",
    "SYSTEM_CHECKS",
    "ConstantSystem",
    "ContractBroken",
    "LastSeenSystem",
    "OracleSystem",
    "check_accuracy",
    "check_encoder",
    "check_log",
    "check_system",
    "dataset_of",
    "require_sound",
    "sample_contents",
    "sequential_ndcg",
    "state_hash",
    "tiny_dataset",
    "without_last",
]
