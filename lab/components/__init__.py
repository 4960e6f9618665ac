"""All that exists because of how Streamlit reruns its pages: see README.md.

Live views keep their camera and zoom while data arrives: the 3D cube and the curves.

They are drawn from Python: a fragment calls the component with the newest data, Streamlit sends the bytes
over the page's one connection, and the mounted view draws them. What changes by itself is fed to them
meanwhile, see `lab.components.feeds`. Nothing is drawn twice: a frame carries a ``seq`` and one that is not
newer is dropped.
"""

from lab.components.cube import cube
from lab.components.curves import curves
from lab.components.live_markup import live_markup, run_when_newer

__all__ = ["cube", "curves", "live_markup", "run_when_newer"]
