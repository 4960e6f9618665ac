"""Geometry: the distance ratios, what they mean, what they cost, and where to use them."""

from lab.server import get_service
from lab.views.geometry.planner import planner

planner(get_service())
