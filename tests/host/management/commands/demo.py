"""Sets the demo up and serves it: the chat API, its OpenAPI document, the chat page and the admin."""

from __future__ import annotations

import secrets
import socket
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from rest_framework.authtoken.models import Token

from tests.demo.rows import fill
from waldur_chat import conf

USER, STAFF = "demo", "staff"

ADVICE = """
Chat page      {address}/#token={token}
API            {address}/api/
OpenAPI        {address}/api/docs/
Admin          {address}/admin/  (user {staff}, password {password})
Token          {token}
Model          {model}

On the page, ask for what the assistant may do here: "list my projects", "create a VM called web-2 in project Apollo".

Three calls, ready to run in another terminal:

curl -N {address}/api/chat/stream/ -H "Authorization: Token {token}" \\
    -H "Content-Type: application/json" -H "Accept: text/plain" -d '{{"input": "What is Waldur?"}}'

http POST {address}/api/chat/stream/ Authorization:"Token {token}" input="What is Waldur?"

python3 -c "import json, urllib.request as u; print(json.load(u.urlopen(u.Request('{address}/api/chat/invoke/',
    method='POST', headers={{'Authorization': 'Token {token}'}}))))"

"""


class Command(BaseCommand):
    """`manage.py demo`."""

    help = "Migrate the database, make two users and a token, print how to call the API, and serve it on uvicorn."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See BaseCommand.add_arguments()."""
        parser.add_argument("--bind", default="127.0.0.1:8000", metavar="HOST:PORT", help="where to serve")
        parser.add_argument("--token", metavar="KEY", help="the user's token, at most 40 characters (default: random)")
        parser.add_argument("--setup-only", action="store_true", help="do everything but serving")

    def handle(self, *args: Any, bind: str, token: str | None, setup_only: bool, **options: Any) -> None:
        """See BaseCommand.handle()."""
        host, _, port = bind.rpartition(":")
        if not (host and port.isdigit()):
            raise CommandError(f"--bind {bind}: give HOST:PORT, as in 127.0.0.1:8000.")
        if not setup_only:
            _check_free(host.strip("[]"), int(port))
        if problem := conf.environment_problem():
            self.stderr.write(self.style.WARNING(problem))
        call_command("migrate", verbosity=0)
        answers = {"token": _set_token(token), "staff": STAFF, "password": _set_password(), "model": _model()}
        users = get_user_model().objects
        fill(users.get(username=USER), users.get(username=STAFF))
        self.stdout.write(ADVICE.format(address=f"http://{host}:{port}", **answers))
        self.stdout.flush()
        if not setup_only:
            _serve(host.strip("[]"), int(port))


def _check_free(host: str, port: int) -> None:
    """Raise `CommandError` if the port cannot be served on, before anything is printed that would not work."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        advice = f"Give another one, as in --bind 127.0.0.1:{port + 1 if port < 65_535 else 8000}."
        raise CommandError(f"--bind {host}:{port}: {error.strerror or error}. {advice}") from error


def _model() -> str:
    """What will answer."""
    chain = conf.load().chain
    if not chain or chain[0].backend == conf.OFFLINE:
        return "none: the offline provider answers. Set OPENAI_BASE_URL, OPENAI_API_KEY and WALDUR_CHAT_MODEL."
    return str(chain[0].options.get("model", "the provider's default"))


def _set_password() -> str:
    """A new password of the demo's staff user."""
    user, _ = get_user_model().objects.get_or_create(username=STAFF)
    user.is_staff = user.is_superuser = True
    password = secrets.token_urlsafe(9)
    user.set_password(password)
    user.save()
    return password


def _set_token(key: str | None) -> str:
    """The token of the demo's user: the given one, or the one he has, or a new one."""
    if key is not None and not 0 < len(key) <= 40:
        raise CommandError("--token: a token has 1 to 40 characters.")
    user, _ = get_user_model().objects.get_or_create(username=USER)
    if key is None:
        return str(Token.objects.get_or_create(user=user)[0].key)
    Token.objects.filter(user=user).delete()
    return str(Token.objects.create(user=user, key=key).key)


def _serve(host: str, port: int) -> None:
    try:
        import uvicorn
    except ImportError as error:
        raise CommandError('The demo is served by uvicorn: pip install -e ".[demo]"') from error
    uvicorn.run("tests.host.asgi:application", host=host, port=port, log_level="warning", lifespan="off")
