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
    FindingKind(
        id="tools_vllm_options",
        cause="vLLM runs without the options for tools, so the model is never offered those of TOOLS.",
        cure="vllm serve MODEL --enable-auto-tool-choice --tool-call-parser PARSER  with the parser of this model",
    ),
    FindingKind(
        id="tools_llama_jinja",
        cause="llama.cpp runs without the template of the model, so it is never offered the tools of TOOLS.",
        cure="llama-server --jinja  in a release that knows the option",
    ),
    FindingKind(
        id="tools_model",
        cause="The model has no tools, or its template has none, so it is never offered those of TOOLS.",
        cure="{model}: a model with tools  (ollama show MODEL lists tools among its capabilities)",
    ),
    FindingKind(
        id="tools_refused",
        cause="The provider answers questions, but fails or refuses where tools are offered.",
        cure="{model}: a model with tools, or another service  or  {tools} = False, if it is to answer without tools",
    ),
    FindingKind(
        id="tools_off",
        cause="The site has TOOLS, but this provider is not sent any: it has none, or its options say so.",
        cure="{tools}: remove it, or use a BACKEND that has tools",
    ),
    FindingKind(
        id="tools_in_text",
        cause="The model writes calls of tools into its text, since its server does not read them.",
        cure="{calls_in_text} = True  or, in the server, the parser of this model (vLLM: --tool-call-parser)",
    ),
    FindingKind(
        id="tools_unread",
        cause="The model writes calls of tools into its text, in a form that neither its server nor the chat reads.",
        cure="vLLM: --tool-call-parser with the parser of this model  llama.cpp: --jinja  or another model",
    ),
    FindingKind(
        id="tools_not_called",
        cause="The model answers in words where it was told to call a tool: it has not learnt to, or never got it.",
        cure="{model}: a model that is made for calling tools",
    ),
)
