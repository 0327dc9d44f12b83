"""What keeps the user, or the doctor, from asking."""

from __future__ import annotations

from waldur_chat.doctor.findings.kind import Kind

KINDS = (
    # The user and the switches.
    Kind(
        id="authorization_stripped",
        cause="The Authorization header does not arrive in Django.",
        cure="nginx: proxy_set_header Authorization $http_authorization;  Apache: WSGIPassAuthorization On",
    ),
    Kind(
        id="token_wrong",
        cause="The token arrives, and is nobody's.",
        cure="manage.py drf_create_token USER",
    ),
    Kind(
        id="user_refused",
        cause="This user may not chat: their role, or a permission that the host asks for.",
        cure='settings.py: WALDUR_CHAT = {"ENABLED_ROLES": "all"}',
    ),
    Kind(
        id="chat_disabled",
        cause="The chat is switched off.",
        cure='settings.py: WALDUR_CHAT = {"ENABLED": True}  constance: AI_ASSISTANT_ENABLED = True',
    ),
    Kind(
        id="chat_not_configured",
        cause="There is no provider, or its settings cannot work; the log names the place.",
        cure='settings.py: WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": ..., "OPTIONS": {...}}}}',
    ),
    Kind(
        id="site_busy",
        cause="A limit of the site is reached, so that it cannot be examined now.",
        cure="WALDUR_CHAT: raise TURNS_PER_USER, TURNS_PER_PROCESS, or the throttle rates chat_stream and chat_invoke",
    ),
    # The doctor's own way.
    Kind(
        id="probe_refused",
        cause="The site runs with another SECRET_KEY than this command, or its clock is more than a minute off.",
        cure="Run manage.py chat_doctor with the site's own settings and environment",
    ),
    Kind(
        id="probe_unreachable",
        cause="The site cannot connect to the doctor, who listens on {listen}.",
        cure="--listen HOST:PORT  with an address of this machine that the site can reach",
    ),
    Kind(
        id="probe_lost",
        cause="The header X-Waldur-Chat-Probe does not arrive, so that the site's own provider answered.",
        cure="nginx: proxy_pass_request_headers on;",
    ),
)
