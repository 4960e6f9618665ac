"""Train: start a training, watch it learn, turn it while it runs, take the result away."""

import streamlit as st

from lab.server import get_lab
from lab.views.train import live_views, setup_form, steering
from lab.views.train.curve_files import curve_files
from lab.views.train.steering import run_facts, tier_table

service = get_lab().service
snapshot = service.snapshot()

live_views(service)
if snapshot.run_id is not None:
    curve_files(service, snapshot.run_id)

if snapshot.phase.is_training:
    steering(service)
elif not snapshot.phase.is_active:
    if snapshot.run_id is not None and snapshot.settings is not None:
        result, tiers = st.columns([4, 5], gap="large")
        with result:
            st.subheader("The result")
            run_facts(snapshot)
        with tiers:
            st.subheader("Its geometry")
            tier_table(snapshot.settings)
    setup_form(service)
