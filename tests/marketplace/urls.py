"""URLs of the stand-in, by Waldur's names, beside those of the chat."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tests.host.urls import urlpatterns as host_urls
from tests.marketplace.views import viewset

RESOURCE = "name state created attributes project_uuid project_name error_message limits"
OFFERING = "name description full_description customer_name state plans"

VIEWS = {
    "customers": ("customer", "name abbreviation address", "query name_exact address"),
    "projects": ("project", "name customer customer_name type_name", "query customer customer_name backend_id"),
    "marketplace-resources": ("marketplace-resource", RESOURCE, "query state project_uuid visible_to_username"),
    "marketplace-public-offerings": ("marketplace-public-offering", OFFERING, "query keyword category_uuid"),
    "marketplace-categories": ("marketplace-category", "title icon offering_count", "title"),
    "marketplace-orders": ("marketplace-order", "state type resource_name attributes", "query state type"),
    "invoices": ("invoice", "year month total items issuer_details", "customer_uuid year month"),
    "project-credits": ("project-credit", "project_name value", "project_uuid"),
    "customer-credits": ("customer-credit", "customer_name value", "customer_uuid"),
    "marketplace-component-usages": ("marketplace-component-usage", "type usage", "resource_uuid"),
    "events": ("event", "message event_type context", "message"),
    "support-issues": ("support-issue", "key status summary", "query key status"),
    "proposal-public-calls": ("proposal-public-call", "name state rounds", "name state"),
    "proposal-proposals": ("proposal-proposal", "name state", "name state"),
}

router = SimpleRouter()
for prefix, (name, columns, filters) in VIEWS.items():
    router.register(prefix, viewset(name, columns, filters), basename=name)

urlpatterns = [path("api/", include(router.urls)), *host_urls]
