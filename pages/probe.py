"""Probe: ask the cube, break it, see it heal."""

import streamlit as st

st.info("This page is being built.")
