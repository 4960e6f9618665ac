"""Geometry: the distance ratios, what they mean, what they cost, and where to use them."""

from lab.server import get_lab
from lab.views.geometry.planner import planner

lab = get_lab()
planner(lab.service, lab.works)
