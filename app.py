"""The frame of the dashboard: `streamlit run app.py`. What stands in it is under pages/."""

import streamlit as st

from pages.shared import frame

page = st.navigation(frame.sections())
st.set_page_config(page_title=f"{page.title} · Kneepoint", page_icon=frame.ICON, layout="wide")
frame.dress(page)
page.run()
