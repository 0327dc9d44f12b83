"""Makes the schemas of two tenants, each with the same user: its token is the tenant's name."""

import os

import django

TENANTS = ("red", "blue")


def main() -> None:
    """Migrate, and make the tenants."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.tenants.settings")
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django_tenants.utils import schema_context
    from rest_framework.authtoken.models import Token

    from tests.tenants.models import Address, Site

    call_command("migrate_schemas", shared=True, verbosity=0)
    for name in TENANTS:
        Address.objects.create(domain=f"{name}.localhost", tenant=Site.objects.create(schema_name=name, name=name))
        with schema_context(name):
            user = get_user_model().objects.create(username="demo")
            Token.objects.create(user=user, key=name)


if __name__ == "__main__":
    main()
