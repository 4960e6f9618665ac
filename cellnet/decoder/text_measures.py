"""Word overlap of two texts: BLEU and token F1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Return words and marks in lower case, since most tokenizers of teachers keep no other."""
    return _WORD.findall(text.lower())


def bleu(candidates: Sequence[str], references: Sequence[str]) -> float:
    """Return the BLEU of a corpus with one reference each (Papineni et al. 2002), 0 to 1, by sacrebleu.

    The geometric mean of the clipped precisions of runs of 1 to 4 words, times the brevity penalty. Without
    smoothing, so that it is 0 where no run of some length agrees; with effective order, so that lengths of
    which the candidates have no run at all do not count. Its signature in the terms of sacrebleu:
    ``nrefs:1|case:lc|eff:yes|tok:none|smooth:none``, over the words that `words` finds.
    """
    from sacrebleu.metrics.bleu import BLEU  # not quick to import, and only needed here

    metric = BLEU(tokenize="none", smooth_method="none", effective_order=True, force=True)
    said, meant = ([" ".join(words(text)) for text in texts] for texts in (candidates, references))
    if len(said) != len(meant):
        raise ValueError(f"{len(said)} candidates have {len(meant)} references; give one each")
    return float(metric.corpus_score(said, [meant]).score) / 100.0


def token_f1(candidate: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall of the words, whatever their order."""
    mine, theirs = Counter(words(candidate)), Counter(words(reference))
    shared = (mine & theirs).total()
    return 2.0 * shared / (mine.total() + theirs.total()) if shared else 0.0
