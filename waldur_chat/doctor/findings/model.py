"""What is wrong with the model behind the site."""

from __future__ import annotations

from waldur_chat.doctor.findings.kind import Kind

KINDS = (
    Kind(
        id="model_missing",
        cause="The provider has no such model, or nothing at this address.",
        cure="{model}: a model that the provider has",
    ),
    Kind(
        id="provider_address",
        cause="The base URL is not the one of the chat completions: the service answers under another.",
        cure='{base_url} = "{address}"',
    ),
    Kind(
        id="key_wrong",
        cause="The provider does not take the key.",
        cure="{api_key}: a key of this provider",
    ),
    Kind(
        id="provider_refused",
        cause="The provider does not take our parameters.",
        cure="{completion}: remove what the model does not know; see max_output_tokens and max_tokens_field too",
    ),
    Kind(
        id="provider_unreachable",
        cause="Nothing answers at the provider's address: the name, the port, a firewall, or its certificate.",
        cure="{base_url}: an address that this machine can reach",
    ),
    Kind(
        id="provider_failing",
        cause="The provider can be reached, and fails, is busy or slow.",
        cure='WALDUR_CHAT["PROVIDERS"]["{name}"]["FALLBACK"] = "the name of another provider"',
    ),
    Kind(
        id="usage_missing",
        cause="The provider reports no usage, so that tokens can only be guessed.",
        cure="{stream_options} = True, and a service that knows stream_options.include_usage",
    ),
)
