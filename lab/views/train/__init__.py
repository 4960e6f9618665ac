"""The Train page: settings of the next run, curves and cube, live controls."""

from lab.views.train.live import live_views
from lab.views.train.setup import setup_form
from lab.views.train.steering import steering

__all__ = ["live_views", "setup_form", "steering"]
