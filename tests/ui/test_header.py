from __future__ import annotations

import emotion
from emotion.analyzer import Analyzer
from emotion.ui.early import header_markup
from emotion.ui.serving import weights_markup


def test_what_runs_stands_in_about_and_not_in_the_header(analyzer):
    header, card = header_markup(analyzer), weights_markup(analyzer)
    for fact in (analyzer.description["engine"], emotion.__version__):
        assert fact in card
        assert fact not in header
    assert "embedded" in card
    assert "em-notice" not in header


def test_a_notice_about_the_weights_is_shown_as_text(analyzer, monkeypatch):
    facts = {**analyzer.description, "notice": "The Hub did not answer; <b>embedded</b> weights."}
    monkeypatch.setattr(Analyzer, "description", facts)
    markup = header_markup(analyzer)
    assert '<p class="em-notice" role="status">The Hub did not answer; &lt;b&gt;' in markup
