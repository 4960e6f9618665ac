"""Evaluation of a student next to its teacher, PCA and an MLP of equal size, with confidence intervals."""

from cellnet.evaluation.evaluate import Band, Evaluation, StepGains, evaluate
from cellnet.evaluation.files import Bank, SentenceReader
from cellnet.evaluation.intervals import LEVEL, Estimate
from cellnet.evaluation.lattice import InteriorMeasures, LatticeMeasures, measure_lattice
from cellnet.evaluation.scores import NEIGHBORS, SCORES
from cellnet.evaluation.subjects import WHO, Pairs
from cellnet.evaluation.values import as_dict
from cellnet.student.perceptron import Perceptron, parameter_count

__all__ = [
    "LEVEL",
    "NEIGHBORS",
    "SCORES",
    "WHO",
    "Band",
    "Bank",
    "Estimate",
    "Evaluation",
    "InteriorMeasures",
    "LatticeMeasures",
    "Pairs",
    "Perceptron",
    "SentenceReader",
    "StepGains",
    "as_dict",
    "evaluate",
    "measure_lattice",
    "parameter_count",
]
