"""Geometry: the distance ratios and what they mean."""

import streamlit as st

st.info("This page is being built.")
