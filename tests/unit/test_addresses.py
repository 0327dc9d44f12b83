"""Which addresses can be asked."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from waldur_chat.providers.transport.addresses import check_address


@pytest.mark.parametrize(
    "address",
    [
        "http://host/v1\n",
        " http://host",
        "http://[::1]x/",
        "http://host:99999",
        "http://host\x01",
        "http://h\u00f6st",
        "http://",
        5,
    ],
)
def test_what_is_no_address_is_refused(address: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="base_url"):
        check_address("base_url", address)


@pytest.mark.parametrize(
    "address", ["http://host:8000/v1", "https://[::1]:8000", "http://a_b.example/x?y=z", "http://u:p@h"]
)
def test_what_is_an_address_is_taken(address: str) -> None:
    check_address("base_url", address)
