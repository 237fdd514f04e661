"""One session of Gradio's for everybody, since nothing here keeps anything by session."""

from __future__ import annotations

from typing import Any

from gradio.state_holder import SessionState, StateHolder

_EVERYBODY = "everybody"


class OneSession(StateHolder):
    """Has one state, whatever a session is called.

    Gradio makes one for each new name, which every call by a program brings: 10 ms on the thread
    that answers requests, and 50 KB.
    """

    def __getitem__(self, _session_id: str) -> SessionState:
        return super().__getitem__(_EVERYBODY)

    def __contains__(self, _session_id: str) -> bool:
        return _EVERYBODY in self.session_data


def share(app: Any) -> None:
    """Let all sessions of Gradio's server application be one."""
    sessions = OneSession()  # type: ignore[no-untyped-call]
    sessions.set_blocks(app.get_blocks())
    app.state_holder = sessions
