"""The mixture: three experts told apart by distance alone, and the gate that mixes them."""

from cellnet.experts.distant import DistantExpert
from cellnet.experts.functional import FunctionalExpert
from cellnet.experts.gate import GatingNetwork
from cellnet.experts.local import LocalExpert

__all__ = ["DistantExpert", "FunctionalExpert", "GatingNetwork", "LocalExpert"]
