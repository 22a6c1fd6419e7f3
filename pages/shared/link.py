"""The "Copy link" button: the whole state of a view on the clipboard, as an address that anyone can open."""

import streamlit as st

_HTML = '<button type="button"></button><textarea readonly hidden aria-label="Link"></textarea>'
_CSS = """
button { font: inherit; font-size: 14px; padding: 6px 12px; min-height: 40px; border-radius: 8px; cursor: pointer;
  color: var(--st-text-color); background: transparent; border: 1px solid var(--st-border-color); white-space: nowrap; }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
textarea { width: 100%; font: inherit; font-size: 13px; margin-top: 6px; }
"""
_JS = """
export default function ({ parentElement, data }) {
  const button = parentElement.querySelector("button");
  const area = parentElement.querySelector("textarea");
  const address = () => {
    const here = new URL(window.location.href);
    return here.origin + here.pathname + "?" + data.query;
  };
  button.textContent = data.label;
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(address());
      button.textContent = "Link copied";
    } catch (refused) {
      area.hidden = false;
      area.value = address();
      area.select();
      button.textContent = "Select and copy";
    }
    setTimeout(() => { button.textContent = data.label; }, 2000);
  };
}
"""
_button = st.components.v2.component("kneepoint_copy_link", html=_HTML, css=_CSS, js=_JS)


def copy_button(query: str, key: str) -> None:
    """Draw the button; `query` is the address's query, already encoded."""
    _button(key=key, data={"query": query, "label": "Copy link"}, width="content", height="content")
