from __future__ import annotations

import emotion
from emotion.analyzer import Analyzer
from emotion.ui.demo import header_markup


def test_the_header_names_weights_engine_and_version(analyzer):
    markup = header_markup(analyzer)
    for fact in ("embedded", analyzer.description["engine"], emotion.__version__):
        assert fact in markup
    assert "em-notice" not in markup


def test_a_notice_about_the_weights_is_shown_as_text(analyzer, monkeypatch):
    facts = {**analyzer.description, "notice": "The Hub did not answer; <b>embedded</b> weights."}
    monkeypatch.setattr(Analyzer, "description", facts)
    markup = header_markup(analyzer)
    assert '<p class="em-notice" role="status">The Hub did not answer; &lt;b&gt;' in markup
