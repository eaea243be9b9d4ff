"""Configuration in, concrete parts out; runs saved and loaded. The only package that knows concrete classes."""

from dynmm.assembly.adding import encode_new, gate_of, similar_to
from dynmm.assembly.explaining import (
    Explainer,
    explained_items,
    explainer_of,
    explanation_of,
    need_log,
    offset_of,
    ranked_without,
    store_of,
    verified,
)
from dynmm.assembly.fitting import FitOptions, Fitted, fit
from dynmm.assembly.hub import push_to_hub
from dynmm.assembly.importance import importance_of
from dynmm.assembly.loading import load
from dynmm.assembly.saving import check_target, save
from dynmm.assembly.whole import (
    WHOLE,
    Whole,
    as_fitted,
    controls,
    known_events,
    known_features,
    pick_device,
    retrained_backbone,
    rungs,
    served,
    with_features,
)

__all__ = [
    "WHOLE",
    "Explainer",
    "FitOptions",
    "Fitted",
    "Whole",
    "as_fitted",
    "check_target",
    "controls",
    "encode_new",
    "explained_items",
    "explainer_of",
    "explanation_of",
    "fit",
    "gate_of",
    "importance_of",
    "known_events",
    "known_features",
    "load",
    "need_log",
    "offset_of",
    "pick_device",
    "push_to_hub",
    "ranked_without",
    "retrained_backbone",
    "rungs",
    "save",
    "served",
    "similar_to",
    "store_of",
    "verified",
    "with_features",
]
