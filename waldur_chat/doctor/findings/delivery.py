"""What happens to an answer on its way to the client. Words in braces are filled in from the site."""

from waldur_chat.doctor.findings.kinds import FindingKind

DELIVERY_KINDS = (
    # What is done to an answer on its way.
    FindingKind(
        id="cached",
        cause="The proxy caches answers, and may send those of one user to another.",
        cure="nginx: proxy_cache off;",
    ),
    FindingKind(
        id="accept_rewritten",
        cause="The Accept header is changed or removed before it arrives: clients get a format that they cannot read.",
        cure="nginx: proxy_set_header Accept $http_accept;  or remove the middleware that changes HTTP_ACCEPT",
    ),
    FindingKind(
        id="proxy_compression",
        cause="The proxy compresses streams, and delays them by that.",
        cure="nginx: gzip off;  and remove  proxy_hide_header Content-Encoding;",
    ),
    FindingKind(
        id="middleware_compression",
        cause="Middleware compresses streams although they say Content-Encoding: identity.",
        cure="settings.py: MIDDLEWARE: replace what compresses by django.middleware.gzip.GZipMiddleware",
    ),
    FindingKind(
        id="proxy_buffering",
        cause="The proxy buffers pieces until it has many or all of them.",
        cure="nginx: proxy_buffering off;  and remove  proxy_ignore_headers X-Accel-Buffering;",
    ),
    FindingKind(
        id="middleware_buffering",
        cause="Middleware reads the whole stream first, or replaces it by an iterator of the other kind (sync, async).",
        cure="settings.py: MIDDLEWARE: remove what reads response.streaming_content (under ASGI it must be async)",
    ),
    FindingKind(
        id="http_1_0",
        cause="The proxy speaks HTTP/1.0 to the application: an answer that was cut looks complete.",
        cure='nginx: proxy_http_version 1.1; proxy_set_header Connection "";',
    ),
    FindingKind(
        id="unframed",
        cause="The proxy marks the end of a stream by closing the connection: an answer that was cut looks complete.",
        cure="nginx: chunked_transfer_encoding on;",
    ),
    FindingKind(
        id="errors_rewritten",
        cause="The proxy replaces our errors by its own pages, so clients see no error code.",
        cure="nginx: proxy_intercept_errors off;",
    ),
    FindingKind(
        id="proxy_body_limit",
        cause="The proxy does not accept a body as large as INPUT_MAX_LENGTH allows.",
        cure="nginx: client_max_body_size {kilobytes}k;",
    ),
    FindingKind(
        id="django_body_limit",
        cause="Django does not accept a body as large as INPUT_MAX_LENGTH allows.",
        cure="settings.py: DATA_UPLOAD_MAX_MEMORY_SIZE = {bytes}",
    ),
    # Time, and many at once.
    FindingKind(
        id="proxy_hides_hangups",
        cause="The proxy hides that a client has disconnected from the application, so unread answers are paid for.",
        cure="nginx: proxy_ignore_client_abort off;",
    ),
    FindingKind(
        id="django_hides_hangups",
        cause="Before version 5 Django does not notice under ASGI that a client has disconnected.",
        cure='pip install "Django>=5.2"  or  asgi.py: application = waldur_chat.shedding.asgi(get_asgi_application())',
    ),
    FindingKind(
        id="middleware_hides_hangups",
        cause="Middleware continues to read the stream although the client has disconnected.",
        cure="settings.py: MIDDLEWARE: remove what wraps response.streaming_content without closing it",
    ),
    FindingKind(
        id="one_stream_per_worker",
        cause="A worker serves one stream at a time, as gunicorn's sync workers do.",
        cure="gunicorn --worker-class gthread --workers 4 --threads 50",
    ),
    FindingKind(
        id="response_time_limit",
        cause="Something ends long answers although they are not silent, as gunicorn's sync workers do.",
        cure="gunicorn --worker-class gthread --threads 50  or  gunicorn --timeout {seconds}",
    ),
    FindingKind(
        id="idle_limit",
        cause="The proxy ends answers that are silent for a while. Before the first event there are no heartbeats, "
        "and invoke is silent to its end.",
        cure="nginx: proxy_read_timeout {seconds}s;",
    ),
)
