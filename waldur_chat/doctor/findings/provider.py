"""What is wrong with the model behind the site. Words in braces are filled in from its settings."""

from waldur_chat.doctor.findings.kinds import FindingKind

PROVIDER_KINDS = (
    FindingKind(
        id="model_missing",
        cause="The provider has no such model, or nothing at this address.",
        cure="{model}: a model that the provider has",
    ),
    FindingKind(
        id="provider_address",
        cause="The base URL is not that of chat completions; the service answers at another one.",
        cure='{base_url} = "{address}"',
    ),
    FindingKind(
        id="key_wrong",
        cause="The provider rejects the key.",
        cure="{api_key}: a key of this provider",
    ),
    FindingKind(
        id="provider_refused",
        cause="The provider rejects our parameters.",
        cure="{completion}: remove what the model does not know; see max_output_tokens and max_tokens_field too",
    ),
    FindingKind(
        id="provider_unreachable",
        cause="Nothing answers at the provider's address: the name, the port, a firewall, or its certificate.",
        cure="{base_url}: an address that this machine can reach",
    ),
    FindingKind(
        id="provider_failing",
        cause="The provider can be reached, and fails, is busy or slow.",
        cure='WALDUR_CHAT["PROVIDERS"]["{name}"]["FALLBACK"] = "the name of another provider"',
    ),
    FindingKind(
        id="usage_missing",
        cause="The provider reports no usage, so tokens are estimated.",
        cure="{stream_options} = True, and a service that knows stream_options.include_usage",
    ),
)
