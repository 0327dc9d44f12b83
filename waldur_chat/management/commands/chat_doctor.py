"""`manage.py chat_doctor`: find what breaks streams between this site and its clients, and how to fix it."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError

from waldur_chat import conf
from waldur_chat.doctor import mcp_servers, provider_check, sequences
from waldur_chat.doctor.control_channel import ControlListener
from waldur_chat.doctor.examine import ExperimentResult, Plan, examine
from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.doctor.http_client import Address
from waldur_chat.doctor.probes import ProbeClient
from waldur_chat.turns.tools.offering import has_tools


class Command(BaseCommand):
    """`manage.py chat_doctor`. The exit status is 0 without findings, 1 with findings, 2 for misuse."""

    help = "Send timed streams through the site's public URL, and name what breaks them, with the line to change."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", metavar="URL", help="the API as clients see it: https://site.example/api/chat/")
        parser.add_argument("--token", metavar="KEY", help="the token to ask with")
        parser.add_argument("--user", metavar="NAME", help="ask with the token that this user has")
        parser.add_argument("--direct", metavar="URL", help="the same on the application's own server, past the proxy")
        parser.add_argument(
            "--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="where the site can reach this command"
        )
        parser.add_argument("--insecure-ca", default="", metavar="FILE", help="trust this certificate too")
        parser.add_argument("--streams", type=int, default=2, metavar="N", help="how many must work at once (2)")
        parser.add_argument("--max-silence", type=float, default=65.0, metavar="SECONDS", help="the longest test (65)")
        parser.add_argument("--quick", action="store_true", help="leave out long answers and silence")
        parser.add_argument("--no-model", action="store_true", help="ask no model")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings: list[Finding] = []
        tried = []
        for result in _results(options):
            tried.append({"tried": result.tried, "found": [finding.id for finding in result.findings]})
            findings += result.findings
            if not options["json"]:
                self._say(result)
        if options["json"]:
            self.stdout.write(json.dumps({"tried": tried, "findings": [asdict(one) for one in findings]}, indent=2))
        else:
            self._conclude(findings)
        if findings:
            sys.exit(1)

    def _say(self, result: ExperimentResult) -> None:
        mark = self.style.ERROR("FOUND") if result.findings else self.style.SUCCESS("ok   ")
        self.stdout.write(f"{mark}  {result.tried}")
        for finding in result.findings:
            self.stdout.write(f"       {finding.id}: {finding.seen}")
        self.stdout.flush()

    def _conclude(self, findings: list[Finding]) -> None:
        for finding in findings:
            self.stdout.write(f"\n{self.style.ERROR(finding.id)}\n  {finding.cause}\n  Cure: {finding.cure}")
        self.stdout.write(f"\n{len(findings) or 'Nothing'} found.")


def _results(options: dict[str, Any]) -> Iterator[ExperimentResult]:
    host, port = _host_and_port(options["listen"])
    address = Address(url=_checked(options["url"]), certificates=_file(options["insecure_ca"]))
    token = options["token"] or _token_of(options["user"])
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(closing(ControlListener(host, port)))
        except OSError as error:
            raise CommandError(f"--listen {options['listen']}: {error}", returncode=2) from error
        client = ProbeClient(address=address, token=token, listener=listener)
        plan = Plan(
            longest=0.0 if options["quick"] else options["max_silence"],
            streams=options["streams"],
            direct=_direct(options["direct"], client) if options["direct"] else None,
        )
        yield from examine(client, plan)
        yield ExperimentResult(tried="the sequences of our tables", findings=sequences.check_sequences())
        if servers := mcp_servers.servers_of_site():
            yield ExperimentResult(tried="the tools of each MCP server", findings=mcp_servers.check_servers(servers))
        if not options["no_model"]:
            yield _ask_model()


def _ask_model() -> ExperimentResult:
    tried = "one small question to each provider"
    try:
        settings = conf.load()
        tried += " and, since the site has tools, for a call of one" if has_tools(settings) else ""
        transports = provider_check.transports(settings)
        tried = f"{tried} ({transports})" if transports else tried
        return ExperimentResult(tried=tried, findings=provider_check.check_providers(settings))
    except ImproperlyConfigured as error:
        return ExperimentResult(tried=tried, findings=[make_finding("chat_not_configured", str(error))])


def _direct(url: str, client: ProbeClient) -> ProbeClient:
    """A client of the server behind the proxy; it sends the headers that the proxy would set."""
    public = urlsplit(client.address.url)
    headers = {"Host": public.netloc, "X-Forwarded-Proto": public.scheme}
    return ProbeClient(
        address=Address(url=_checked(url), headers=headers), token=client.token, listener=client.listener
    )


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError(f"{url}: give the address of the API, as in https://site.example/api/chat/", returncode=2)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise CommandError(f"--listen {address}: give HOST:PORT, as in 10.0.0.7:9100", returncode=2)
    return host.strip("[]"), int(port)


def _file(name: str) -> str:
    if name and not Path(name).is_file():
        raise CommandError(f"--insecure-ca {name}: there is no such file", returncode=2)
    return name


def _token_of(name: str | None) -> str:
    """The existing token of this user; never creates one."""
    if not (name and apps.is_installed("rest_framework.authtoken")):
        raise CommandError(
            "Give --token KEY, or --user NAME where rest_framework.authtoken is installed.", returncode=2
        )
    # Importing the model fails if its app is not installed, so it cannot be imported at the top.
    from rest_framework.authtoken.models import Token

    token = Token.objects.filter(**{f"user__{get_user_model().USERNAME_FIELD}": name}).first()
    if token is None:
        raise CommandError(f"{name} has no token: manage.py drf_create_token {name}", returncode=2)
    return str(token.key)
