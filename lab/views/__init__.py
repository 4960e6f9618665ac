"""Parts of pages. Each draws from a snapshot of the training; none keeps what a reload would lose."""

from lab.views.train.live import live_views
from lab.views.train.setup import setup_form
from lab.views.train.steering import steering

__all__ = ["live_views", "setup_form", "steering"]
