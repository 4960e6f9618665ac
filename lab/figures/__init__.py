"""From plain values to what is drawn: panels, scenes, charts and figures in words.

One module for each subject; everything in here is a pure function of plain values and calls no Streamlit.
"""
