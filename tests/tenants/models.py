"""The tenants and their addresses, in the schema `public`."""

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Site(TenantMixin):
    """A tenant: users, conversations and budgets of its own. Saving it makes its schema."""

    name = models.CharField(max_length=50)
    auto_create_schema = True


class Address(DomainMixin):
    """The name of the host by which a tenant is asked."""
