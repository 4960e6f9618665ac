"""Exact nearest neighbors by cosine among many embeddings, one block of cosines at a time.

Embeddings are (n, D) and may be memory-mapped. At most 4096 x 4096 cosines exist at once, and what is kept
grows with n alone, never with n * n.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cellnet.measures import Embeddings, parts, rows_to_tensor

Counts = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

_ROWS_AT_ONCE = 4096
_EQUAL = 1e-6
"""Cosines that differ by less are equal, as far as float32 can tell."""


@torch.no_grad()
def nearest_others(
    embeddings: Embeddings, count: int, *, device: torch.device, progress: Progress | None = None
) -> Counts:
    """Return the places of the ``count`` embeddings with the greatest cosine to each, nearest first.

    An embedding is not its own neighbor. Each block of cosines serves its rows and its columns.

    Args:
        embeddings: (n, D), n > count.
        count: neighbors of each.
        device: where the work runs.
        progress: told how many blocks are done.

    Returns:
        (n, count).
    """
    blocks = list(parts(len(embeddings), _ROWS_AT_ONCE))
    cosines = torch.full((len(embeddings), count), -torch.inf, device=device)
    places = torch.zeros((len(embeddings), count), dtype=torch.int64, device=device)
    pairs = len(blocks) * (len(blocks) + 1) // 2
    done = 0
    for first, rows in enumerate(blocks):
        own = _unit_rows(embeddings, rows, device)
        for columns in blocks[first:]:
            if columns == rows:
                block = (own @ own.T).fill_diagonal_(-torch.inf)
            else:
                block = own @ _unit_rows(embeddings, columns, device).T
                _keep_nearest(cosines[columns], places[columns], block.T.contiguous(), rows.start)
            _keep_nearest(cosines[rows], places[rows], block, columns.start)
            done += 1
            if progress is not None:
                progress(done, pairs)
    found: Counts = places.cpu().numpy()
    return found


@torch.no_grad()
def count_nearer(
    answers: Embeddings,
    targets: Embeddings,
    *,
    device: torch.device,
    others: Embeddings | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Return for each answer how many embeddings of a bank are nearer to it than its own target, (n,).

    The bank is all targets and the others. Nearer is what has a cosine greater by more than 1e-6, so that
    a copy of the target counts as the target.

    Args:
        answers: (n, D).
        targets: what they should be, (n, D).
        device: where the work runs.
        others: the rest of the bank, (M, D).
        progress: told how many answers are done.
    """
    banks = [targets] if others is None else [targets, others]
    nearer = np.empty(len(answers), dtype=np.int64)
    for rows in parts(len(answers), _ROWS_AT_ONCE):
        queries = _unit_rows(answers, rows, device)
        own = (queries * _unit_rows(targets, rows, device)).sum(dim=1, keepdim=True) + _EQUAL
        counts = torch.zeros(len(queries), dtype=torch.int64, device=device)
        for bank in banks:
            for columns in parts(len(bank), _ROWS_AT_ONCE):
                block = queries @ _unit_rows(bank, columns, device).T
                counts += block.sub_(own).gt_(0.0).sum(dim=1).long()
        nearer[rows] = counts.cpu().numpy()
        if progress is not None:
            progress(rows.stop, len(answers))
    return nearer


@torch.no_grad()
def nearest_cosine(
    embeddings: Embeddings, bank: Embeddings, *, device: torch.device, progress: Progress | None = None
) -> npt.NDArray[np.float32]:
    """Return the cosine of each embedding (n, D) to the nearest one of a bank (M, D), M >= 1, as (n,)."""
    nearest = np.empty(len(embeddings), dtype=np.float32)
    for rows in parts(len(embeddings), _ROWS_AT_ONCE):
        queries = _unit_rows(embeddings, rows, device)
        best = torch.full((len(queries),), -torch.inf, device=device)
        for columns in parts(len(bank), _ROWS_AT_ONCE):
            best = torch.maximum(best, (queries @ _unit_rows(bank, columns, device).T).amax(dim=1))
        nearest[rows] = best.clamp_(-1.0, 1.0).cpu().numpy()
        if progress is not None:
            progress(rows.stop, len(embeddings))
    return nearest


def shared_neighbors(one: Counts, other: Counts) -> npt.NDArray[np.float64]:
    """Return the share of the neighbors (n, K) of each row that are also its neighbors in another, (n,)."""
    shared = np.empty(len(one))
    for rows in parts(len(one), _ROWS_AT_ONCE):
        shared[rows] = (one[rows, :, None] == other[rows, None, :]).sum(axis=(1, 2)) / one.shape[1]
    return shared


def _unit_rows(embeddings: Embeddings, rows: slice, device: torch.device) -> Tensor:
    return F.normalize(rows_to_tensor(embeddings, rows, device), dim=1)


def _keep_nearest(cosines: Tensor, places: Tensor, block: Tensor, start: int) -> None:
    """Merge a block of cosines (R, C), whose first column is ``start``, into the best so far (R, K)."""
    count = cosines.shape[1]
    found, columns = block.topk(min(count, block.shape[1]), dim=1)
    both = torch.cat([cosines, found], dim=1)
    best, chosen = both.topk(count, dim=1)
    cosines.copy_(best)
    places.copy_(torch.cat([places, columns + start], dim=1).gather(1, chosen))
