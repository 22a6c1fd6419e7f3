"""The dashboard: `streamlit run app.py`. What stands in its frame is under pages/.

Streamlit imports this file once, as the server starts, and runs it anew whenever a session draws a page.
"""

import streamlit as st

from pages.shared import frame, opening

if __name__ == "app":
    app = st.App(__file__, lifespan=opening.ready)
else:
    page = st.navigation(frame.sections())
    st.set_page_config(page_title=f"{page.title} · Kneepoint", page_icon=frame.ICON, layout="wide")
    frame.dress(page)
    page.run()
