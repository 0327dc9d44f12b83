"""What keeps a request from reaching the application."""

from __future__ import annotations

from waldur_chat.doctor.findings.kind import Kind

KINDS = (
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
)
