"""URLs of an older release: no credits, no proposals, invoices without a view of one, a list that cannot be read."""

from django.urls import include, path
from rest_framework.renderers import StaticHTMLRenderer
from rest_framework.routers import SimpleRouter

from tests.host.urls import urlpatterns as host_urls
from tests.marketplace.urls import VIEWS
from tests.marketplace.views import viewset

MISSING = ("project-credits", "customer-credits", "proposal-public-calls", "proposal-proposals", "invoices", "events")

router = SimpleRouter()
for prefix, (name, columns, filters) in VIEWS.items():
    if prefix not in MISSING:
        router.register(prefix, viewset(name, columns, filters), basename=name)

invoices, events = viewset("invoice", "year"), viewset("event", "message")
urlpatterns = [
    path("api/", include(router.urls)),
    path("api/invoices/", invoices.as_view({"get": "list"}), name="invoice-list"),
    path("api/invoices/<str:uuid>/", invoices.as_view({"post": "retrieve"}), name="invoice-detail"),
    path("api/events/", events.as_view({"get": "list"}, renderer_classes=[StaticHTMLRenderer]), name="event-list"),
    *host_urls,
]
