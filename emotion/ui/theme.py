"""The look of what Gradio draws itself: quiet, system fonts, light and dark."""

from __future__ import annotations

import gradio as gr

_SANS = ["ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Build the theme; its fonts are those of the visitor's system, so nothing is fetched."""
    return gr.themes.Base(
        primary_hue="stone",
        neutral_hue="stone",
        font=_SANS,
        font_mono=_MONO,
        radius_size="lg",
    ).set(
        body_background_fill="#f8f7f5",
        body_background_fill_dark="#131416",
        body_text_color="#1d1c1a",
        body_text_color_dark="#ececea",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        link_text_color="#1d1c1a",
        link_text_color_dark="#ececea",
    )
