"""How long lists of conversations take where there are many, on PostgreSQL.

python -m tests.benchmarks.lists [--threads 100000] [--messages 20] [--users 1000] [--requests 100] [--server uvicorn]

An owner has a hundred of them, staff see all. Each list is a page of 50, asked for over HTTP, one after the other.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import psycopg

from tests.acceptance.postgresql import pooled, postgresql_database, postgresql_server
from tests.processes import Running, host

LISTS = (
    "",
    "o=-modified",
    "o=total_tokens",
    "o=-input_tokens",
    "o=models_used",
    "created_after=2026-01-10",
    "modified_before=2026-01-20&o=modified",
    "total_tokens_min=9000&o=-total_tokens",
    "has_feedback=true",
    "is_archived=true",
    "page=2",
)

FILL = """
INSERT INTO auth_user (username, password, first_name, last_name, email, is_staff, is_superuser, is_active, date_joined)
SELECT 'user' || n, '', '', '', '', n = 2, false, true, now() FROM generate_series(1, {users}) n;
INSERT INTO authtoken_token (key, user_id, created)
SELECT CASE username WHEN 'user1' THEN 'owner' ELSE 'staff' END, id, now()
FROM auth_user WHERE username IN ('user1', 'user2');
INSERT INTO waldur_chat_session (uuid, user_id, created, modified)
SELECT gen_random_uuid(), id, now(), now() FROM auth_user WHERE username LIKE 'user%';
INSERT INTO waldur_chat_thread (uuid, session_id, name, is_named, flags, is_archived, message_count, input_tokens,
    output_tokens, total_tokens, title_input_tokens, title_output_tokens, models_used, is_flagged, max_severity,
    positive_feedback, negative_feedback, created, modified)
SELECT gen_random_uuid(), s.id, 'Conversation ' || n, false, '{{}}', n % 10 = 0, {messages}, n % 5000, n % 5000,
    2 * (n % 5000), 0, 0, 'model-' || n % 5, false, 'none', (n % 20 = 0)::int, 0,
    timestamptz '2026-01-01' + n * interval '30 seconds', timestamptz '2026-01-01' + n * interval '40 seconds'
FROM generate_series(1, {threads}) n
JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM waldur_chat_session) s ON s.number = n % {users};
INSERT INTO waldur_chat_message (uuid, thread_id, role, text, status, code, warning, sequence_index, is_current,
    created, model, feedback_comment, feedback_category, is_flagged, severity, injection_categories, pii_categories,
    action_taken)
SELECT gen_random_uuid(), t.id, CASE WHEN i % 2 = 0 THEN 'user' ELSE 'assistant' END, repeat('Some words. ', 20),
    'complete', '', '', i, true, t.created, '', '', '', false, 'none', '{{}}', '{{}}', 'allow'
FROM waldur_chat_thread t, generate_series(0, {messages} - 1) i;
"""


def fill(address: str, options: argparse.Namespace) -> None:
    """Make users with conversations; the first of them and a member of staff have tokens."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(FILL.format(users=options.users, threads=options.threads, messages=options.messages))
        connection.execute("VACUUM ANALYZE")


def seconds(server: Running, token: str, query: str) -> float:
    """Ask for one page."""
    headers = {"Authorization": f"Token {token}"}
    request = urllib.request.Request(f"{server.address}/api/chat-threads/?page_size=50&{query}", headers=headers)
    begun = time.perf_counter()
    with urllib.request.urlopen(request) as response:
        response.read()
    return time.perf_counter() - begun


def measure(server: Running, requests: int) -> None:
    """Print the median and the 95th percentile of each list."""
    for who in ("owner", "staff"):
        for query in LISTS:
            seconds(server, who, query)
            found = sorted(seconds(server, who, query) * 1000 for _ in range(requests))
            p95 = found[int(len(found) * 0.95)]
            print(f"{who:6} {query or 'as it is':40} p50 {statistics.median(found):6.1f} ms, p95 {p95:6.1f} ms")


def main() -> None:
    """Fill a database and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=100_000)
    parser.add_argument("--messages", type=int, default=20, help="in each of them")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--server", default="uvicorn")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(postgresql_database(stack.enter_context(postgresql_server())))
        server = stack.enter_context(host(options.server, directory, database=pooled(address, 5)))
        fill(address, options)
        measure(server, options.requests)


if __name__ == "__main__":
    main()
