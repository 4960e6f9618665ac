"""All proofs, in order."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from cellnet.errors import DataError
from cellnet.proof.exactness import prove_called, prove_reference
from cellnet.proof.learning import prove_ablation, prove_gradients, prove_not_identity, prove_samples
from cellnet.proof.locality import prove_reach, prove_tiers
from cellnet.proof.subject import Proof, Subject, make_subject
from cellnet.student.student import CellNet

SMALLEST_BATCH = 4

_PROOFS: dict[str, Callable[[Subject], Proof]] = {
    "called": prove_called,
    "reach": prove_reach,
    "tiers": prove_tiers,
    "reference": prove_reference,
    "gradients": prove_gradients,
    "samples": prove_samples,
    "ablation": prove_ablation,
    "not the identity": prove_not_identity,
}


def prove(
    model: CellNet, embeddings: Tensor, *, progress: Callable[[str], None] | None = None
) -> list[Proof]:
    """Prove that the lattice of a model, fresh or trained, computes what the design says.

    All runs on float64 copies on the CPU; the model is not touched. A fresh model reads only its linear
    path, so what spreads is shown with the last layers of its experts drawn at random.

    Args:
        model: the student.
        embeddings: teacher embeddings, (B, D), B >= 4; for a trained model such as it was trained for.
        progress: called with the name of each proof before it begins.

    Returns:
        One `Proof` each: called, reach, tiers, reference, gradients, samples, ablation, not the identity.

    Raises:
        DataError: if the embeddings do not fit the model or are too few.
    """
    width = model.settings.embedding.teacher_width
    if embeddings.ndim != 2 or embeddings.shape[1] != width or len(embeddings) < SMALLEST_BATCH:
        raise DataError(
            f"embeddings of shape {tuple(embeddings.shape)} do not suit the proofs; "
            f"give at least {SMALLEST_BATCH} of width {width}"
        )
    subject = make_subject(model, embeddings)
    proofs = []
    for name, make_proof in _PROOFS.items():
        if progress is not None:
            progress(name)
        proofs.append(make_proof(subject))
    return proofs
