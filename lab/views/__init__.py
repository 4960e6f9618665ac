"""Parts of pages. Each draws from a snapshot of the training; none keeps what a reload would lose."""

from lab.views.live import live_views
from lab.views.setup import setup_form
from lab.views.steering import steering

__all__ = ["live_views", "setup_form", "steering"]
