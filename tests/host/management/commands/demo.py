"""Sets the demo up and serves it: the chat API, its OpenAPI document and the chat page."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from rest_framework.authtoken.models import Token

ADVICE = """
Chat page      {address}/#token={token}
API            {address}/api/chat/
OpenAPI        {address}/api/docs/
Token          {token}

Three calls, ready to run in another terminal:

curl -N {address}/api/chat/stream/ -H "Authorization: Token {token}" \\
    -H "Content-Type: application/json" -H "Accept: text/plain" -d '{{"input": "What is Waldur?"}}'

http POST {address}/api/chat/stream/ Authorization:"Token {token}" input="What is Waldur?"

python3 -c "import json, urllib.request as u; print(json.load(u.urlopen(u.Request('{address}/api/chat/invoke/',
    method='POST', headers={{'Authorization': 'Token {token}'}}))))"
"""


class Command(BaseCommand):
    """`manage.py demo`."""

    help = "Migrate the database, make a user and a token, print how to call the API, and serve it on uvicorn."

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
        call_command("migrate", verbosity=0)
        key = _set_token(token)
        self.stdout.write(ADVICE.format(address=f"http://{host}:{port}", token=key))
        self.stdout.flush()
        if not setup_only:
            _serve(host.strip("[]"), int(port))


def _set_token(key: str | None) -> str:
    """The token of the demo's user: the given one, or the one he has, or a new one."""
    if key is not None and not 0 < len(key) <= 40:
        raise CommandError("--token: a token has 1 to 40 characters.")
    user, _ = get_user_model().objects.get_or_create(username="demo")
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
