"""What can be found, and the line that cures it, as data. Words in braces are filled in from the site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A thing that breaks streams: the likely cause, and the line to change."""

    id: str
    cause: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A kind that was found, and what was seen of it."""

    id: str
    seen: str
    cause: str
    cure: str


_KINDS = (
    # The way to the site.
    Kind(
        id="site_unreachable",
        cause="The address is wrong, or nothing that speaks HTTP listens there.",
        cure="nginx: listen 443 ssl; server_name {host};",
    ),
    Kind(
        id="certificate_expired",
        cause="The certificate is no longer valid, or not yet.",
        cure="certbot renew && nginx -s reload",
    ),
    Kind(
        id="certificate_wrong_host",
        cause="The certificate is not for this name.",
        cure="certbot --nginx -d {host}",
    ),
    Kind(
        id="certificate_untrusted",
        cause="The certificate is self-signed, of an unknown issuer, or sent without the issuer's own.",
        cure="nginx: ssl_certificate /etc/letsencrypt/live/{host}/fullchain.pem;  (of a CA of your own: --insecure-ca)",
    ),
    Kind(
        id="upstream_down",
        cause="The proxy does not get an answer from the application.",
        cure="nginx: proxy_pass http://HOST:PORT;  with the address on which the application's server listens",
    ),
    Kind(
        id="host_refused",
        cause="The site's name is not among those that Django answers to.",
        cure='settings.py: ALLOWED_HOSTS = ["{host}"]',
    ),
    Kind(
        id="host_not_passed",
        cause="The proxy puts another Host in place of the site's name, and Django does not answer to that.",
        cure="nginx: proxy_set_header Host $host;",
    ),
    Kind(
        id="redirect_to_https",
        cause="The site sends http on to https, and clients that follow drop the question.",
        cure="Give clients {location}",
    ),
    Kind(
        id="redirect_loop",
        cause="The proxy ends TLS and does not tell Django, which sends every request on to https.",
        cure='settings.py: SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  '
        "nginx: proxy_set_header X-Forwarded-Proto $scheme;",
    ),
    Kind(
        id="slash_lost",
        cause="The proxy cuts the slash at the end of the path, and Django redirects to the path that has it.",
        cure="nginx: remove  rewrite ^(.*)/$ $1;  and give proxy_pass no path",
    ),
    Kind(
        id="redirected",
        cause="Something before the API sends clients elsewhere: a login page, another name of the site.",
        cure="nginx: location {path} { auth_request off; }  or give clients the address that it leads to",
    ),
    Kind(
        id="wrong_url",
        cause="The API is not at this address.",
        cure="manage.py chat_doctor {expected}",
    ),
    Kind(
        id="prefix_lost",
        cause="The address is right, but the application gets another path: proxy_pass with a path replaces it.",
        cure="nginx: proxy_pass http://application;  without a path or a slash after the name",
    ),
    Kind(
        id="access_denied_by_proxy",
        cause="Something before the application refuses the request: a password, a firewall, an address.",
        cure="nginx: location {path} { auth_basic off; allow all; }",
    ),
    Kind(
        id="proxy_limits_requests",
        cause="The proxy limits requests or connections.",
        cure="nginx: limit_conn PER_ADDRESS 100;  limit_req ZONE burst=20 nodelay;",
    ),
    Kind(
        id="application_error",
        cause="The application raised an exception; its log says which.",
        cure="settings.py: LOGGING = {'version': 1, 'handlers': {'console': {'class': 'logging.StreamHandler'}}, "
        "'root': {'handlers': ['console']}}  then read the traceback",
    ),
    Kind(
        id="unexpected_answer",
        cause="None that is known.",
        cure="Ask the application's server itself: --direct http://127.0.0.1:PORT{path}",
    ),
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
        cause="This user may not chat: his role, or a permission that the host asks for.",
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
    # What is done to an answer on its way.
    Kind(
        id="cached",
        cause="The proxy keeps answers, and gives one user's to another.",
        cure="nginx: proxy_cache off;",
    ),
    Kind(
        id="accept_rewritten",
        cause="The Accept header is changed or removed before it arrives: clients get a format that they cannot read.",
        cure="nginx: proxy_set_header Accept $http_accept;  or remove the middleware that changes HTTP_ACCEPT",
    ),
    Kind(
        id="proxy_compression",
        cause="The proxy compresses streams, and holds them back for that.",
        cure="nginx: gzip off;  and remove  proxy_hide_header Content-Encoding;",
    ),
    Kind(
        id="middleware_compression",
        cause="Middleware compresses streams although they say Content-Encoding: identity.",
        cure="settings.py: MIDDLEWARE: replace what compresses by django.middleware.gzip.GZipMiddleware",
    ),
    Kind(
        id="proxy_buffering",
        cause="The proxy holds pieces back until it has many or all.",
        cure="nginx: proxy_buffering off;  and remove  proxy_ignore_headers X-Accel-Buffering;",
    ),
    Kind(
        id="middleware_buffering",
        cause="Middleware reads the stream whole, or gives Django an iterator of the wrong colour.",
        cure="settings.py: MIDDLEWARE: remove what reads response.streaming_content (under ASGI it must be async)",
    ),
    Kind(
        id="http_1_0",
        cause="The proxy speaks HTTP/1.0 to the application: an answer that was cut looks complete.",
        cure='nginx: proxy_http_version 1.1; proxy_set_header Connection "";',
    ),
    Kind(
        id="unframed",
        cause="The proxy marks the end of a stream by closing the connection: an answer that was cut looks complete.",
        cure="nginx: chunked_transfer_encoding on;",
    ),
    Kind(
        id="errors_rewritten",
        cause="The proxy puts pages of its own in place of our errors, so that clients see no code.",
        cure="nginx: proxy_intercept_errors off;",
    ),
    Kind(
        id="proxy_body_limit",
        cause="The proxy takes no body that is as large as INPUT_MAX_LENGTH allows.",
        cure="nginx: client_max_body_size {kilobytes}k;",
    ),
    Kind(
        id="django_body_limit",
        cause="Django takes no body that is as large as INPUT_MAX_LENGTH allows.",
        cure="settings.py: DATA_UPLOAD_MAX_MEMORY_SIZE = {bytes}",
    ),
    # Time, and many at once.
    Kind(
        id="proxy_hides_hangups",
        cause="The proxy does not tell the application that a client has gone, so that answers are paid for nobody.",
        cure="nginx: proxy_ignore_client_abort off;",
    ),
    Kind(
        id="django_hides_hangups",
        cause="Before version 5 Django does not notice under ASGI that a client has gone.",
        cure='pip install "Django>=5.2"  or  asgi.py: application = waldur_chat.shedding.asgi(get_asgi_application())',
    ),
    Kind(
        id="middleware_hides_hangups",
        cause="Middleware reads the stream on although the client has gone.",
        cure="settings.py: MIDDLEWARE: remove what wraps response.streaming_content without closing it",
    ),
    Kind(
        id="one_stream_per_worker",
        cause="A worker carries one stream at a time, as gunicorn's sync workers do.",
        cure="gunicorn --worker-class gthread --workers 4 --threads 50",
    ),
    Kind(
        id="response_time_limit",
        cause="Something ends answers that take long although they are not silent; gunicorn's sync workers do.",
        cure="gunicorn --worker-class gthread --threads 50  or  gunicorn --timeout {seconds}",
    ),
    Kind(
        id="idle_limit",
        cause="The proxy ends answers that are silent for a while. Before the first event there are no heartbeats, "
        "and invoke is silent to its end.",
        cure="nginx: proxy_read_timeout {seconds}s;",
    ),
    # The model behind the site.
    Kind(
        id="model_missing",
        cause="The provider has no such model, or nothing at this address.",
        cure="{model}: a model that the provider has",
    ),
    Kind(
        id="provider_address",
        cause="The base URL is not the one of the chat completions: the service answers under another.",
        cure='{base_url} = "{address}"',
    ),
    Kind(
        id="key_wrong",
        cause="The provider does not take the key.",
        cure="{api_key}: a key of this provider",
    ),
    Kind(
        id="provider_refused",
        cause="The provider does not take our parameters.",
        cure="{completion}: remove what the model does not know; see max_output_tokens and max_tokens_field too",
    ),
    Kind(
        id="provider_unreachable",
        cause="Nothing answers at the provider's address: the name, the port, a firewall, or its certificate.",
        cure="{base_url}: an address that this machine can reach",
    ),
    Kind(
        id="provider_failing",
        cause="The provider can be reached, and fails, is busy or slow.",
        cure='WALDUR_CHAT["PROVIDERS"]["{name}"]["FALLBACK"] = "the name of another provider"',
    ),
    Kind(
        id="usage_missing",
        cause="The provider reports no usage, so that tokens can only be guessed.",
        cure="{stream_options} = True, and a service that knows stream_options.include_usage",
    ),
)

KINDS = {kind.id: kind for kind in _KINDS}

IN_APPLICATION = {
    "proxy_compression": "middleware_compression",
    "proxy_buffering": "middleware_buffering",
    "proxy_hides_hangups": "middleware_hides_hangups",
}
"""What is called otherwise where the application itself, and no proxy, does it."""


def found(kind_id: str, seen: str, **values: Any) -> Finding:
    """A finding, with what its kind leaves open filled in."""
    kind = KINDS[kind_id]
    return Finding(id=kind.id, seen=seen, cause=_fill(kind.cause, values), cure=_fill(kind.cure, values))


def _fill(text: str, values: dict[str, Any]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
