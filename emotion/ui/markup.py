"""Pieces of HTML and script that more than one tab uses."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources

import emotion
from emotion.align import CROP_SIZE
from emotion.analyzer import FRAME_SIDE
from emotion.cover import FAINT
from emotion.labels import CALM, COLORS, LABELS, NOT_SURE, UNSURE_COLOR
from emotion.overlay import LINES
from emotion.ui.strings import label, table, text

_ICONS = {
    "camera": '<path d="M3 8h3l2-3h8l2 3h3v11H3z"/><circle cx="12" cy="13" r="3.5"/>',
    "stop": '<rect x="6" y="6" width="12" height="12" rx="2"/>',
    "pause": '<path d="M8 5v14M16 5v14"/>',
    "save": '<path d="M12 4v11m0 0-4-4m4 4 4-4M4 20h16"/>',
    "switch": '<path d="M4 9h14l-3-3M20 15H6l3 3"/>',
    "picture": '<rect x="3" y="4" width="18" height="16" rx="2"/>'
    '<path d="m4 18 6-6 4 4 2-2 4 4"/><circle cx="15.5" cy="9" r="1.5"/>',
    "settings": '<path d="M4 7.5h8.5m5 0H20M4 16.5h2.5m5 0H20"/><circle cx="15" cy="7.5" r="2.5"/>'
    '<circle cx="9" cy="16.5" r="2.5"/>',
    "close": '<path d="m6 6 12 12M18 6 6 18"/>',
    "play": '<path d="M8 5v14l11-7z"/>',
    "game": '<circle cx="12" cy="12" r="9"/><path d="M8.5 14a4 4 0 0 0 7 0M9 9.5v.5M15 9.5v.5"/>',
    "mark": '<path d="M6 21V4h11l-2.5 4 2.5 4H6"/>',
    "film": '<rect x="3" y="5" width="18" height="14" rx="2"/>'
    '<path d="M7.5 5v14M16.5 5v14M3 9.7h4.5M3 14.3h4.5M16.5 9.7H21M16.5 14.3H21"/>',
    "lock": '<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>',
    "back": '<path d="M19 12H5m0 0 6-6m-6 6 6 6"/>',
}


SHARED_SCRIPTS = (
    "storage.js",
    "common.js",
    "early.js",
    "csv.js",
    "camera.js",
    "controls.js",
    "evidence.js",
    "group.js",
    "faces.js",
    "timeline.js",
    "people.js",
    "strip.js",
    "stage.js",
    "why.js",
    "own_device.js",
    "where.js",
    "questions.js",
    "pace.js",
    "comeback.js",
    "session.js",
    "session_picture.js",
    "recorder.js",
    "game.js",
    "brush.js",
    "card.js",
    "result.js",
    "sending.js",
    "sent_clip.js",
    "shrinking.js",
    "keep.js",
    "many.js",
    "footage.js",
    "plot.js",
)
"""What the tabs share, in the order in which it runs."""

STYLES = (
    "page.css",
    "controls.css",
    "live.css",
    "photo.css",
    "session.css",
    "files.css",
    "video.css",
    "where.css",
)


@cache
def read(name: str) -> str:
    """Read one of the page's own files (script, style sheet)."""
    return resources.files("emotion.ui").joinpath(name).read_text("utf-8")


@cache
def page_styles() -> str:
    """Return the page's style sheet, for its head.

    Gradio would rewrite it as ``css``: it splits selectors at every comma, which breaks
    ``:is(a, b)``.
    """
    return f"<style>{''.join(map(read, STYLES))}</style>"


@cache
def page_scripts() -> str:
    """Return the scripts that the tabs share; they run before any tab's."""
    facts = {
        "strings": table(),
        "labels": LABELS,
        "colors": [COLORS[name] for name in LABELS],
        "unsure": UNSURE_COLOR,
        "notSure": NOT_SURE,
        "calm": CALM,
        "faint": FAINT,
        "crop": CROP_SIZE,
        "lines": LINES,
        "frameSide": FRAME_SIDE,
        "page": page_name(),
    }
    # "</" would end the script element wherever it stands in a sentence.
    values = json.dumps(facts, ensure_ascii=False).replace("</", "<\\/")
    shared = "\n".join(read(name) for name in SHARED_SCRIPTS)
    return f"<script>(() => {{ const facts = {values};\n{shared} }})();</script>"


@cache
def page_name() -> str:
    """Return a name for the code of this page: an old tab finds out by it that there is newer."""
    digest = hashlib.sha256(emotion.__version__.encode())
    for file in sorted(resources.files("emotion.ui").iterdir(), key=lambda file: file.name):
        if file.name.endswith((".py", ".js", ".css", ".json")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def icon(name: str) -> str:
    """Return a line icon in the colour of the text around it."""
    return (
        '<svg class="em-icon" viewBox="0 0 24 24" width="18" height="18" fill="none" '
        'stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" '
        f'aria-hidden="true">{_ICONS[name]}</svg>'
    )


def bars() -> str:
    """Return six empty bars in the fixed order; the browser fills them."""
    rows = "".join(
        f'<li data-label-index="{index}">{text(name, classes="em-bar-name")}'
        f'<span class="em-bar"><i style="background:{COLORS[name]}"></i></span>'
        '<span class="em-bar-value">–</span></li>'
        for index, name in enumerate(LABELS)
    )
    return f'<ol class="em-bars" {label("bars_label")}>{rows}</ol>'


def explain_select(name: str = "") -> str:
    """Return the choice of the class that the heat map explains.

    Args:
        name: key of what screen readers call it, where a page has several.
    """
    options = f'<option value="-1" data-text="explain_top">{table()["en"]["explain_top"]}</option>'
    options += "".join(
        f'<option value="{index}" data-text="{name}">{table()["en"][name]}</option>'
        for index, name in enumerate(LABELS)
    )
    return (
        f'<label class="em-choice">{text("explain_label")}'
        f'<select class="em-select" data-do="explain" {label(name) if name else ""}>{options}'
        "</select></label>"
    )


def heat_controls(explain: str = "") -> str:
    """Return the switch, the style, the opacity and the class of the evidence.

    Args:
        explain: key of the name of the choice of a class.
    """
    return f"""<span class="em-heat">
    <label class="em-choice em-switch"><input type="checkbox" data-do="heat" checked>
      {text("heat")}</label>
    <button type="button" class="em-button" data-do="spotlight" aria-pressed="true">
      {text("spotlight")}</button>
    <input type="range" data-do="opacity" min="10" max="100" value="75" {label("opacity")}>
    {explain_select(explain)}</span>"""


def settings_button(sheet: str) -> str:
    """Return the button that opens a sheet of settings where there is no room for them.

    Args:
        sheet: id of the sheet.
    """
    return f"""<button type="button" class="em-button em-small" data-do="settings"
      aria-expanded="false" aria-controls="{sheet}">{icon("settings")}{text("settings")}</button>"""


def sheet(name: str, content: str) -> str:
    """Return a group of settings, in a row where there is room and in a sheet elsewhere.

    Args:
        name: its id.
        content: what it holds.
    """
    return f"""<div class="em-sheet" id="{name}" role="group" {label("settings")}>
    <div class="em-sheet-head">{text("settings", "h2")}
      <button type="button" class="em-button" data-do="close" {label("close")}>
        {icon("close")}</button></div>
    {content}</div>"""


def group() -> str:
    """Return the strip of thumbnails of many faces; the browser fills it."""
    return f"""<div class="em-group" hidden>
      <p class="em-summary"></p><div class="em-strip" role="group" {label("group_strip")}></div>
    </div>"""


def six_maps() -> str:
    """Return six small pictures, a button each, for the evidence of all classes side by side."""
    buttons = "".join(
        f'<button type="button" aria-pressed="false"><canvas width="96" height="96"></canvas>'
        f'{text(name)}<span class="em-share"></span></button>'
        for name in LABELS
    )
    return f'<div class="em-six" role="group" {label("six")}>{buttons}</div>'


def legend() -> str:
    """Return the legend of the evidence."""
    return (
        f'<div class="em-legend">{text("legend_less")}<span class="em-ramp"></span>'
        f"{text('legend_more')}</div>"
    )


def where() -> str:
    """Return the choice of who answers, with the line that says what that means."""
    radios = "".join(
        f'<label class="em-choice"><input type="radio" name="em-where" value="{value}">'
        f"{text(f'where_{value}')}</label>"
        for value in ("device", "server")
    )
    return f"""<fieldset class="em-where">{text("where", "legend")}{radios}
      {_where_line()}</fieldset>"""


def place() -> str:
    """Return the line that says, while the camera runs, who answers."""
    return f'<div class="em-place">{_where_line()}</div>'


def _where_line() -> str:
    return f'<p class="em-quiet" data-where>{icon("lock")}<span role="status"></span></p>'
