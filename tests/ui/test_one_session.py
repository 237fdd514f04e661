"""Gradio's sessions, of which there is one."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr

from emotion.ui.one_session import share


def test_whatever_a_session_is_called_it_is_the_same():
    with gr.Blocks() as page:
        gr.Textbox()
    app = SimpleNamespace(get_blocks=lambda: page, state_holder=None)
    share(app)
    first = app.state_holder["ann"]
    assert all(app.state_holder[f"name {number}"] is first for number in range(50))
    assert "anybody" in app.state_holder
    assert len(app.state_holder.session_data) == 1
