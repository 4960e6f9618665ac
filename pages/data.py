"""Data: the sentences."""

import streamlit as st

st.info("This page is being built.")
