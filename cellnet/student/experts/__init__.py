"""The mixture: three experts told apart by distance alone, and the gate that mixes them."""

from cellnet.student.experts.distant import DistantExpert
from cellnet.student.experts.functional import FunctionalExpert
from cellnet.student.experts.gate import GatingNetwork
from cellnet.student.experts.local import LocalExpert

__all__ = ["DistantExpert", "FunctionalExpert", "GatingNetwork", "LocalExpert"]
