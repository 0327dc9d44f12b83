"""A ready set of tools for Waldur, whose views it reads: `WALDUR_CHAT["TOOLS"] = "waldur"`, or `{**WALDUR_TOOLS, ...}`.

It is imported by settings, so it imports nothing. The names are those of Waldur's own chat, where they mean the same.
Names of views, filters and fields are those of Waldur of October 2024 and of its API client 8.1.3. A release that lacks
a view leaves out its tool, with a warning; filters that it lacks are not offered, and fields that it lacks are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BLOCKS = "waldur_chat.waldur_tools.blocks"

ORGANIZATION = "uuid name abbreviation slug country_name email projects_count users_count archived blocked"
PROJECT = "uuid name slug description customer_name customer_uuid start_date end_date type_name resources_count"
RESOURCE = (
    "uuid name state created end_date paused offering_name offering_uuid category_title plan_name project_name "
    "project_uuid customer_name customer_uuid backend_id error_message"
)
RESOURCE_WHOLE = (
    f"{RESOURCE} description limits current_usages limit_usage endpoints report plan_unit renewal_date downscaled "
    "restrict_member_access last_sync"
)
OFFERING = "uuid name description category_title customer_name country state type shared billable"
OFFERING_WHOLE = (
    f"{OFFERING} full_description getting_started access_url documentation_url helpdesk_url terms_of_service_link "
    "privacy_policy_link plans components"
)
ORDER = (
    "uuid state type created created_by_full_name resource_name marketplace_resource_uuid offering_name plan_name "
    "project_name project_uuid customer_name cost request_comment error_message completed_at"
)
INVOICE = "uuid number state year month price tax total customer_details invoice_date due_date"
CREDIT = (
    "uuid customer_name customer_uuid value end_date expected_consumption minimal_consumption consumption_last_month"
)
USAGE = (
    "type name measured_unit usage date billing_period description resource_name resource_uuid offering_name "
    "project_name customer_name"
)
ISSUE = (
    "uuid key type status summary description resolution priority caller_full_name reporter_name assignee_name "
    "customer_name project_name resource_name created modified link"
)
CALL = "uuid name slug state description start_date end_date customer_name external_url rounds"
PROPOSAL = "uuid name slug state call_name call_uuid project_summary duration_in_days created_by_name created"


def _view(view: str, description: str, fields: str, parameters: str = "page", **others: Any) -> dict[str, Any]:
    """The entry of a view: Waldur computes the columns that `field` names, and no others."""
    columns = fields.split()
    return {
        "VIEW": view,
        "DESCRIPTION": description,
        "FIELDS": columns,
        "QUERY": {"field": columns},
        "PARAMETERS": parameters.split(),
        "OPTIONAL": True,
        **others,
    }


WALDUR_TOOLS: Mapping[str, Mapping[str, Any]] = {
    "list_organizations": _view(
        "customer-list",
        "List the organizations (customers) that the user can see. Use it to find the uuid of one by its name (query).",
        ORGANIZATION,
        "query name_exact archived current_user_has_role owned_by_current_user page",
    ),
    "list_projects": _view(
        "project-list",
        "List the projects that the user can see, also those of one organization (customer). Use it to find the uuid "
        "of a project by its name (query).",
        PROJECT,
        "query name_exact customer customer_name o page",
    ),
    "list_resources": _view(
        "marketplace-resource-list",
        "List resources, such as virtual machines or allocations, that the user can see, of one project, organization, "
        "category or state. Use it to answer questions about them; to show them to the user, call "
        "display_user_resources.",
        RESOURCE,
        "query name_exact state project_uuid project_name customer_uuid category_uuid offering_uuid offering_type "
        "backend_id paused o page",
    ),
    "get_resource": _view(
        "marketplace-resource-detail",
        "Get one resource by its uuid: state, limits, current usage, endpoints, dates, and the error if it has one.",
        RESOURCE_WHOLE,
    ),
    "display_user_resources": {"BACKEND": f"{BLOCKS}.DisplayUserResources"},
    "search_offerings": _view(
        "marketplace-public-offering-list",
        "Search the marketplace for offerings, which the user can order. The page shows links to what is found. "
        "keyword and query search in names and descriptions.",
        OFFERING,
        "keyword query name category_uuid customer_uuid type tag_name o page",
        ROWS=20,
        SHOW=f"{BLOCKS}.offering_links",
        ROLES="anonymous",
    ),
    "get_offering": _view(
        "marketplace-public-offering-detail",
        "Get one offering of the marketplace by its uuid: full description, plans with prices, components, access, "
        "terms. Call it for each of several offerings to compare them.",
        OFFERING_WHOLE,
        ROLES="anonymous",
    ),
    "list_categories": _view(
        "marketplace-category-list",
        "List the categories of the marketplace, with the number of offerings in each.",
        "uuid title description offering_count",
        "title page",
        ROWS=100,
        ROLES="anonymous",
    ),
    "list_orders": _view(
        "marketplace-order-list",
        "List orders: requests to create, change or terminate resources, with state, cost, and the error if there is "
        "one. can_approve_as_consumer gives those that wait for the user's approval.",
        ORDER,
        "query state type project_uuid customer_uuid offering_uuid resource_uuid category_uuid can_approve_as_consumer "
        "o page",
    ),
    "list_invoices": _view(
        "invoice-list",
        "List the monthly invoices of organizations, with price, tax and total. get_invoice has their items.",
        INVOICE,
        "customer_uuid state year month start_date end_date o page",
    ),
    "get_invoice": _view(
        "invoice-detail",
        "Get one invoice by its uuid, with its items: what each resource cost. Use it to explain a cost.",
        f"{INVOICE} items payment_url",
    ),
    "list_project_credits": _view(
        "project-credit-list",
        "List the credits of projects: how much is left (value), until when, and what was used last month.",
        f"project_name project_uuid allocated_customer_credit use_organisation_credit {CREDIT}",
        "project_uuid project_name customer_uuid customer_name o page",
    ),
    "list_organization_credits": _view(
        "customer-credit-list",
        "List the credits of organizations: how much is left (value), until when, and what is allocated to projects.",
        f"{CREDIT} allocated_to_projects",
        "customer_uuid customer_name o page",
    ),
    "get_resource_usage": _view(
        "marketplace-component-usage-list",
        "Get what resources have used, by component (such as CPU hours or storage) and month, of one resource, "
        "project, organization or offering.",
        USAGE,
        "resource_uuid offering_uuid project_uuid customer_uuid billing_period date_after date_before type page",
    ),
    "list_events": _view(
        "event-list",
        "List what has happened: who did what, and when. created_from and created_to are Unix timestamps.",
        "created event_type message",
        "message event_type customer_uuid project_uuid user_uuid created_from created_to o page",
    ),
    "list_support_issues": _view(
        "support-issue-list",
        "List support requests that the user can see, with status and who works on them.",
        ISSUE,
        "query key type status summary customer_uuid project_uuid resource_uuid is_open o page",
    ),
    "list_calls": _view(
        "proposal-public-call-list",
        "List calls for proposals, with their rounds and deadlines. has_active_round gives those that take proposals "
        "now.",
        CALL,
        "name state has_active_round customer_uuid customer_keyword offering_uuid o page",
    ),
    "list_proposals": _view(
        "proposal-proposal-list",
        "List proposals that the user can see, with their state. my_proposals gives the user's own.",
        PROPOSAL,
        "name state call_uuid my_proposals organization_uuid o page",
    ),
    "ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser", "ROLES": "anonymous"},
}
