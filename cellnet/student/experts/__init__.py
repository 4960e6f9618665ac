"""The mixture: experts that read tiers told apart by distance alone, and the gate that mixes them."""

from cellnet.student.experts.distant import DistantExpert
from cellnet.student.experts.functional import FunctionalExpert
from cellnet.student.experts.gate import GatingNetwork
from cellnet.student.experts.local import LocalExpert
from cellnet.student.experts.neighborhood import Neighborhood, TierNeighborhood
from cellnet.student.experts.table import EXPERTS, ExpertKind, expert_settings, register_expert

__all__ = [
    "EXPERTS",
    "DistantExpert",
    "ExpertKind",
    "FunctionalExpert",
    "GatingNetwork",
    "LocalExpert",
    "Neighborhood",
    "TierNeighborhood",
    "expert_settings",
    "register_expert",
]
