"""Style sheets of every page: what Streamlit's theme cannot say, and the lab's own markup."""

from typing import Final

STYLE: Final = """
<style>
/* A fade has the browser draw for half a second after a press, while it should draw the answer. */
*, ::before, ::after { transition: none !important; }
/* What runs anew each second must not flicker; a run that takes long shows as a line at the top instead. */
.stMain [data-stale="true"] { opacity: 1; }
.stApp[data-test-script-state="running"]::after { content: ""; position: fixed; inset: 0 0 auto;
  height: 3px; z-index: 1000000; background: #56b4e9; animation: lab-wait 0s 1s both; }
@keyframes lab-wait { from { visibility: hidden; } to { visibility: visible; } }
.stMainBlockContainer { padding-inline: 2rem; padding-bottom: 2rem; }
[data-testid="stStatusWidget"], [class*="st-key-newer-"] { display: none; }
.st-key-geometry_preset [role="radiogroup"] { flex-wrap: wrap; }
/* The name of a button's key is by default too pale on the button. */
.stButton button kbd { color: inherit; opacity: 1; }
.lab-status { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.6rem;
  font-variant-numeric: tabular-nums; }
.lab-state { font-weight: 600; font-size: 1.25rem; }
.lab-state i { display: inline-block; width: .65em; height: .65em; margin-right: .45em;
  border-radius: 50%; }
.lab-fact { white-space: nowrap; }
.lab-slow { display: inline-block; width: .6em; height: .6em; margin-right: .35em; border-radius: 50%;
  background: #E69F00; }
.lab-fact small { opacity: .72; margin-right: .4em; font-size: .82em; }
.lab-track { height: 5px; border-radius: 3px; margin-top: .55rem; overflow: hidden;
  background: rgba(128, 140, 152, .25); }
.lab-track div { height: 100%; border-radius: 3px; }
.lab-table { width: 100%; border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
.lab-table th { text-align: right; font-weight: 400; opacity: .72; }
.lab-table td { text-align: right; }
.lab-table th, .lab-table td { padding: .22rem .35rem; border-bottom: 1px solid rgba(128, 140, 152, .25); }
.lab-table :is(th, td):first-child { text-align: left; }
.lab-table i { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .45em; }
.lab-said { font-size: .9rem; margin-top: .2rem; }
.lab-said q { font-style: italic; }
.lab-line { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem;
  font-variant-numeric: tabular-nums; }
.lab-note { font-size: .86rem; margin: .7rem 0 0; opacity: .8; }
.lab-command { margin: 0; padding: .7rem .9rem; border-radius: .5rem; background: rgba(128, 140, 152, .13);
  font-size: .82rem; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
.lab-link { display: block; margin-top: .7rem; padding: .42rem .75rem; border-radius: .5rem;
  text-align: center;
  border: 1px solid rgba(128, 140, 152, .4); color: inherit !important; text-decoration: none !important; }
.lab-link:is(:hover, :focus-visible) { border-color: currentcolor; }
</style>
"""

LIGHT_STYLE: Final = """
<style>
/* The gray that captions have by default is too light on white. */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { color: #55606b; opacity: 1; }
</style>
"""

DARK_STYLE: Final = """
<style>
/* White on the light blue that the dark theme needs elsewhere would be hard to read. */
button[kind="primary"]:enabled :is(p, kbd) { color: #0e141a; }
</style>
"""
