"""Live views that keep their camera and zoom while data arrives: the 3D cube and the curves.

Both are fed from Python, from inside a fragment: ``@st.fragment(run_every=...)`` calls the component with
the newest data, Streamlit sends the bytes over the page's one connection, and the mounted view draws them.
Nothing is drawn twice: a frame carries a ``seq`` and one that is not newer is dropped.
"""

from lab.components.cube import cube
from lab.components.curves import curves

__all__ = ["cube", "curves"]
