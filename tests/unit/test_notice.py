"""The notice in the language of a reader."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation
from django.utils.translation import trans_real

from waldur_chat import conf
from waldur_chat.conf.notice import DEFAULT_NOTICE

TEXTS = {"en": "AI writes.", "de": "Hier schreibt eine KI.", "pt_BR": "IA escreve."}


@pytest.fixture(autouse=True)
def site(settings: Any) -> Any:
    """A site in English."""
    settings.LANGUAGE_CODE = "en-us"
    return settings


@pytest.mark.parametrize(
    ("language", "text"),
    [("de", TEXTS["de"]), ("de-at", TEXTS["de"]), ("pt-br", TEXTS["pt_BR"]), ("fr", TEXTS["en"])],
)
def test_a_mapping_has_the_text_of_the_language_or_else_of_the_site(language: str, text: str) -> None:
    with translation.override(language):
        assert conf.notice_text(TEXTS) == text


def test_a_mapping_without_the_language_of_the_site_has_its_first_text() -> None:
    with translation.override("fr"):
        assert conf.notice_text({"de": TEXTS["de"], "et": "Siin kirjutab tehisaru."}) == TEXTS["de"]


def test_a_text_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trans_real.translation("de"), "gettext", {DEFAULT_NOTICE: TEXTS["de"]}.get)
    with translation.override("de"):
        assert conf.notice_text(DEFAULT_NOTICE) == TEXTS["de"]


@pytest.mark.parametrize("none", ["", {}, {"en": ""}])
def test_there_may_be_none(none: Any) -> None:
    assert conf.notice_text(none) == ""


def test_where_translations_are_off_the_language_is_that_of_the_site() -> None:
    with translation.override(None):
        assert conf.active_language() == "en-us"
