"""The notice that users chat with an AI system (Regulation (EU) 2024/1689, Article 50), in the language of a request.

https://eur-lex.europa.eu/eli/reg/2024/1689/oj
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.utils.translation import get_language, gettext

# Without gettext_noop(), which reads Django's settings: this module is imported while they are being built.
DEFAULT_NOTICE = "You are chatting with an AI system. Its answers can be wrong; check what matters."


def is_notice(value: object) -> bool:
    """Whether this may be the setting: a text, or a mapping from language codes to texts."""
    if isinstance(value, Mapping):
        return all(isinstance(text, str) for pair in value.items() for text in pair)
    return isinstance(value, str)


def notice_text(notice: str | Mapping[str, str]) -> str:
    """The notice in the active language; empty if there is none.

    A text is translated by the site's catalogues. Of a mapping it is the text for the active language, for the language
    without its region, for the site's language, or the first one: a notice in a foreign language is better than none.
    """
    if isinstance(notice, str):
        return gettext(notice) if notice else ""  # The translation of "" is the header of the catalogue.
    texts = {_normalized(code): text for code, text in notice.items()}
    active, site = _normalized(active_language()), _normalized(settings.LANGUAGE_CODE)
    wanted = (active, active.partition("-")[0], site, site.partition("-")[0])
    return next((texts[code] for code in (*wanted, *texts) if code in texts), "")


def active_language() -> str:
    """The code of the active language; that of the site where translations are deactivated."""
    return get_language() or str(settings.LANGUAGE_CODE)


def _normalized(code: str) -> str:
    return code.lower().replace("_", "-")
