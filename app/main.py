"""Entry point: ``python -m streamlit run app/main.py``.

Streamlit reads this file twice: as a module, for the application that it serves, and as the script
that every session runs. Routing only; pages do the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `streamlit run` alone puts only this folder there
    sys.path.insert(0, str(ROOT))

from app.shell import users  # noqa: E402
from app.shell.frame import PAGES, START  # noqa: E402
from ecgxai_core.settings import assets_dir  # noqa: E402


def main() -> None:
    """Set up the window and run the chosen page."""

    icon = assets_dir() / "icon.png"  # a file: icons by name come from a server elsewhere
    st.set_page_config(
        page_title="ECG-XAI",
        page_icon=str(icon) if icon.is_file() else None,
        layout="wide",
        initial_sidebar_state="collapsed",
    )
    users.gate()
    pages = {
        name: st.Page(
            ROOT / "pages" / f"{name}.py",
            title=title,
            url_path=None if name == START else name,
            default=name == START,
        )
        for name, title in PAGES.items()
        if (ROOT / "pages" / f"{name}.py").is_file()
    }
    st.session_state["pages"] = pages
    chosen = st.navigation(list(pages.values()), position="top")
    chosen.run()


if __name__ == "__main__":
    main()
else:
    from starlette.middleware import Middleware
    from streamlit.starlette import App

    from app.shell.web import Guard, no_lookups, serving

    no_lookups()
    streamlit_app = App(__file__, middleware=[Middleware(Guard)], lifespan=serving)
