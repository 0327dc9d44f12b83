"""What is in the stand-in: rows by the basenames of views, each with the user who owns it; without one it is public."""

from __future__ import annotations

from typing import Any

CITIES = ("Tartu", "Tallinn", "Narva")


def key(number: int) -> str:
    """A uuid as Waldur writes it."""
    return f"{number:032x}"


def _rows(owner: str, first: int, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"uuid": key(first + at), "owner": owner, **row} for at, row in enumerate(rows)]


RESOURCES = [
    {"name": f"vm-{number}", "state": "OK", "project_uuid": key(11), "attributes": "pw"} for number in range(60)
]

ROWS: dict[str, list[dict[str, Any]]] = {
    "customer": [*_rows("alice", 1, {"name": "Lab"}), *_rows("bob", 2, {"name": "Works"})],
    "project": [
        *_rows("alice", 11, {"name": "Apollo", "customer": key(1), "customer_name": "Lab", "type_name": None}),
        *_rows("bob", 12, {"name": "Voyager", "customer": key(2), "customer_name": "Works"}),
    ],
    "marketplace-resource": [
        *_rows("alice", 101, *RESOURCES, {"name": "db", "state": "Erred", "error_message": "No quota."}),
        *_rows("bob", 201, {"name": "secret", "state": "OK"}),
    ],
    "marketplace-public-offering": _rows(
        "",
        301,
        *(
            {"name": f"Cloud {city}", "customer_name": "Works", "description": f"<p>Servers &amp; disks in\n{city}</p>"}
            for city in CITIES
        ),
        {"name": "", "description": None},
    ),
    "marketplace-category": _rows("", 401, {"title": "VMs", "offering_count": 3}),
    "marketplace-order": _rows("alice", 501, {"state": "executing", "type": "Create", "resource_name": "db"}),
    "invoice": [
        *_rows(
            "alice", 601, {"year": 2026, "month": 11, "total": "10.00", "items": [{"name": "vm-1", "price": "10.00"}]}
        ),
        *_rows("bob", 602, {"year": 2026, "month": 11, "total": "99.00", "items": []}),
    ],
    "project-credit": _rows("alice", 701, {"project_name": "Apollo", "value": "5.00"}),
    "customer-credit": _rows("alice", 711, {"customer_name": "Lab", "value": "50.00"}),
    "marketplace-component-usage": _rows("alice", 801, {"type": "cpu", "usage": "12.00", "resource_uuid": key(101)}),
    "event": _rows("", 901, {"message": "db has failed", "event_type": "resource_failed", "context": "10.0.0.1"}),
    "support-issue": _rows("alice", 911, {"key": "SD-1", "status": "Open", "summary": "db is down"}),
    "proposal-public-call": _rows("", 921, {"name": "Spring", "state": "active", "rounds": []}),
    "proposal-proposal": _rows("alice", 931, {"name": "Waves", "state": "draft"}),
}
