"""Settings of this host. Every schema has all tables, but for those of the tenants themselves."""

from tests.host.settings import *  # noqa: F403
from tests.host.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

SHARED_APPS = ["django_tenants", "tests.tenants", *INSTALLED_APPS]
TENANT_APPS = INSTALLED_APPS
INSTALLED_APPS = SHARED_APPS
TENANT_MODEL = "tenants.Site"
TENANT_DOMAIN_MODEL = "tenants.Address"
DATABASES = {"default": {**DATABASES["default"], "ENGINE": "django_tenants.postgresql_backend"}}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware", *MIDDLEWARE]
