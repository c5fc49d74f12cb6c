"""Entry point: ``python -m streamlit run app/main.py``. Routing only; pages do the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `streamlit run` alone puts only this folder there
    sys.path.insert(0, str(ROOT))

from app.frame import PAGES  # noqa: E402
from ecgxai_core.settings import assets_dir  # noqa: E402


def main() -> None:
    """Set up the window and run the chosen page."""
    icon = assets_dir() / "icon.png"  # a file: icons by name come from a server elsewhere
    st.set_page_config(
        page_title="ECG-XAI", page_icon=str(icon) if icon.is_file() else None, layout="wide"
    )
    pages = {
        name: st.Page(ROOT / "pages" / f"{name}.py", title=title, icon=icon, url_path=name)
        for name, (title, icon) in PAGES.items()
        if (ROOT / "pages" / f"{name}.py").is_file()
    }
    st.session_state["pages"] = pages

    def start() -> None:
        st.switch_page(pages["records"], query_params=st.query_params.to_dict())

    # The default page has no address but "/", and a link to its name ends in "Page not found"; so
    # the default is a page that only leads on to the first one.
    first = st.Page(start, title="ECG-XAI", default=True, visibility="hidden")
    st.navigation([first, *pages.values()], expanded=True).run()


main()
