"""Configuration in, concrete parts out; runs saved and loaded. The only package that knows concrete classes."""

from dynmm.assembly.adding import add_items, gate_of, similar_to, takes_items
from dynmm.assembly.contentreport import with_losses_told
from dynmm.assembly.explaining import (
    Explainer,
    explained_items,
    explainer_of,
    explanation_of,
    need_log,
    offset_of,
    one_request,
    ranked_without,
    store_of,
    verified,
    writing_of,
)
from dynmm.assembly.fitting import FitOptions, Fitted, fit
from dynmm.assembly.forgetting import forget_user
from dynmm.assembly.hub import push_to_hub
from dynmm.assembly.importance import importance_of
from dynmm.assembly.intake import Learned, learn_events
from dynmm.assembly.live import Live, live_of, roll_back
from dynmm.assembly.loading import load
from dynmm.assembly.logkeeping import close_live
from dynmm.assembly.measured import (
    Questions,
    WithoutReranker,
    as_fitted,
    controls,
    known_features,
    of_kind,
    rungs,
    titles_only,
    with_features,
)
from dynmm.assembly.online import ONLINE, online
from dynmm.assembly.saving import check_target, save
from dynmm.assembly.streamed import Frozen, alone, frozen_sha256, lower_rungs, with_adapter
from dynmm.assembly.travel import Moved, Moves, moves_between
from dynmm.assembly.versioning import Version, refused_of, versions_of
from dynmm.assembly.whole import WHOLE, Whole, known_events, pick_device, retrained_backbone, served, whole_of

__all__ = [
    "ONLINE",
    "WHOLE",
    "Explainer",
    "FitOptions",
    "Fitted",
    "Frozen",
    "Learned",
    "Live",
    "Moved",
    "Moves",
    "Questions",
    "Version",
    "Whole",
    "WithoutReranker",
    "add_items",
    "alone",
    "as_fitted",
    "check_target",
    "close_live",
    "controls",
    "explained_items",
    "explainer_of",
    "explanation_of",
    "fit",
    "forget_user",
    "frozen_sha256",
    "gate_of",
    "importance_of",
    "known_events",
    "known_features",
    "learn_events",
    "live_of",
    "load",
    "lower_rungs",
    "moves_between",
    "need_log",
    "of_kind",
    "offset_of",
    "one_request",
    "online",
    "pick_device",
    "push_to_hub",
    "ranked_without",
    "refused_of",
    "retrained_backbone",
    "roll_back",
    "rungs",
    "save",
    "served",
    "similar_to",
    "store_of",
    "takes_items",
    "titles_only",
    "verified",
    "versions_of",
    "whole_of",
    "with_adapter",
    "with_features",
    "with_losses_told",
    "writing_of",
]
