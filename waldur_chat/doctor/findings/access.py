"""Why a request does not reach the probe's provider. Words in braces are filled in from the site."""

from waldur_chat.doctor.findings.kinds import FindingKind

ACCESS_KINDS = (
    # The way to the site.
    FindingKind(
        id="site_unreachable",
        cause="The address is wrong, or nothing that speaks HTTP listens there.",
        cure="nginx: listen 443 ssl; server_name {host};",
    ),
    FindingKind(
        id="workers_busy",
        cause="The site accepts connections, but answers none: its workers are busy, as sync ones are with a stream.",
        cure="gunicorn --worker-class gthread --workers 4 --threads 50",
    ),
    FindingKind(
        id="certificate_expired",
        cause="The certificate has expired, or is not valid yet.",
        cure="certbot renew && nginx -s reload",
    ),
    FindingKind(
        id="certificate_wrong_host",
        cause="The certificate is not for this name.",
        cure="certbot --nginx -d {host}",
    ),
    FindingKind(
        id="certificate_untrusted",
        cause="The certificate is self-signed, of an unknown issuer, or sent without the issuer's own.",
        cure="nginx: ssl_certificate /etc/letsencrypt/live/{host}/fullchain.pem;  (of a CA of your own: --insecure-ca)",
    ),
    FindingKind(
        id="upstream_down",
        cause="The proxy does not get an answer from the application.",
        cure="nginx: proxy_pass http://HOST:PORT;  with the address on which the application's server listens",
    ),
    FindingKind(
        id="host_refused",
        cause="The site's name is not in ALLOWED_HOSTS.",
        cure='settings.py: ALLOWED_HOSTS = ["{host}"]',
    ),
    FindingKind(
        id="host_not_passed",
        cause="The proxy replaces the Host header by a name that is not in ALLOWED_HOSTS.",
        cure="nginx: proxy_set_header Host $host;",
    ),
    FindingKind(
        id="redirect_to_https",
        cause="The site redirects http to https, and clients that follow the redirect drop the question.",
        cure="Give clients {location}",
    ),
    FindingKind(
        id="redirect_loop",
        cause="The proxy terminates TLS without telling Django, which redirects every request to https.",
        cure='settings.py: SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")  '
        "nginx: proxy_set_header X-Forwarded-Proto $scheme;",
    ),
    FindingKind(
        id="slash_lost",
        cause="The proxy removes the slash at the end of the path, and Django redirects to the path with it.",
        cure="nginx: remove  rewrite ^(.*)/$ $1;  and give proxy_pass no path",
    ),
    FindingKind(
        id="redirected",
        cause="Something in front of the API redirects clients: a login page, another name of the site.",
        cure="nginx: location {path} { auth_request off; }  or give clients the address that it leads to",
    ),
    FindingKind(
        id="wrong_url",
        cause="The API is not at this address.",
        cure="manage.py chat_doctor {expected}",
    ),
    FindingKind(
        id="prefix_lost",
        cause="The address is right, but the application gets another path: proxy_pass with a path replaces it.",
        cure="nginx: proxy_pass http://application;  without a path or a slash after the name",
    ),
    FindingKind(
        id="access_denied_by_proxy",
        cause="Something before the application refuses the request: a password, a firewall, an address.",
        cure="nginx: location {path} { auth_basic off; allow all; }",
    ),
    FindingKind(
        id="proxy_limits_requests",
        cause="The proxy limits requests or connections.",
        cure="nginx: limit_conn PER_ADDRESS 100;  limit_req ZONE burst=20 nodelay;",
    ),
    FindingKind(
        id="application_error",
        cause="The application raised an exception; its log says which.",
        cure="settings.py: LOGGING = {'version': 1, 'handlers': {'console': {'class': 'logging.StreamHandler'}}, "
        "'root': {'handlers': ['console']}}  then read the traceback",
    ),
    FindingKind(
        id="unexpected_answer",
        cause="Unknown.",
        cure="Ask the application's server itself: --direct http://127.0.0.1:PORT{path}",
    ),
    # The user and the switches.
    FindingKind(
        id="authorization_stripped",
        cause="The Authorization header does not arrive in Django.",
        cure="nginx: proxy_set_header Authorization $http_authorization;  Apache: WSGIPassAuthorization On",
    ),
    FindingKind(
        id="token_wrong",
        cause="The token arrives, but belongs to no user.",
        cure="manage.py drf_create_token USER",
    ),
    FindingKind(
        id="user_refused",
        cause="This user may not chat: their role, or a permission that the host asks for.",
        cure='settings.py: WALDUR_CHAT = {"ENABLED_ROLES": "all"}',
    ),
    FindingKind(
        id="chat_disabled",
        cause="The chat is switched off.",
        cure='settings.py: WALDUR_CHAT = {"ENABLED": True}  constance: AI_ASSISTANT_ENABLED = True',
    ),
    FindingKind(
        id="chat_not_configured",
        cause="There is no provider, or its settings are invalid; the log names the place.",
        cure='settings.py: WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": ..., "OPTIONS": {...}}}}',
    ),
    FindingKind(
        id="site_busy",
        cause="A limit of the site is reached, so it cannot be examined now.",
        cure="WALDUR_CHAT: raise TURNS_PER_USER, TURNS_PER_PROCESS, or the throttle rates chat_stream and chat_invoke",
    ),
    # The doctor's own way.
    FindingKind(
        id="probe_refused",
        cause="The site runs with another SECRET_KEY than this command, or its clock is more than a minute off.",
        cure="Run manage.py chat_doctor with the site's own settings and environment",
    ),
    FindingKind(
        id="probe_unreachable",
        cause="The site cannot connect to the doctor, which listens on {listen}.",
        cure="--listen HOST:PORT  with an address of this machine that the site can reach",
    ),
    FindingKind(
        id="probe_lost",
        cause="The header X-Waldur-Chat-Probe does not arrive, so the site's own provider answered.",
        cure="nginx: proxy_pass_request_headers on;",
    ),
)
