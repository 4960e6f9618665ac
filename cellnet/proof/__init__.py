"""Proof that the lattice computes: what the design promises, checked on one model."""

from cellnet.proof.prove import prove
from cellnet.proof.subject import Proof

__all__ = ["Proof", "prove"]
