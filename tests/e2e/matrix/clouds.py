"""Clouds that serve others' dialects under paths and members of their own: what they are sent, as the
dialect's own API would have got it.

Azure OpenAI: https://learn.microsoft.com/azure/ai-foundry/openai/reference. Vertex AI:
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai.
"""

import re
import urllib.parse

PROJECT, LOCATION, API_VERSION = "acme-prod", "us-east5", "2025-04-01-preview"
_PARENT = f"/v1/projects/{PROJECT}/locations/{LOCATION}"


def same(target, body):
    return target, body


def azure(target, body):
    path, _, query = target.partition("?")
    assert query == f"api-version={API_VERSION}", target
    if path == "/openai/responses":
        return "/v1/responses", body
    deployment, operation = re.fullmatch(r"/openai/deployments/([^/]+)(/.+)", path).groups()
    return "/v1" + operation, {**body, "model": urllib.parse.unquote(deployment)}


def vertex(target, body):
    models = _PARENT + "/publishers/google/models/"
    assert target.startswith(models), target
    return "/v1beta/models/" + target.removeprefix(models), body


def vertex_claude(target, body):
    model, method = re.fullmatch(re.escape(_PARENT) + r"/publishers/anthropic/models/([^/:]+):(\w+)", target).groups()
    assert method == ("streamRawPredict" if body.get("stream") else "rawPredict"), target
    assert "model" not in body
    body = dict(body)
    assert body.pop("anthropic_version") in ("vertex-2023-10-16", "2026-10-21")
    return "/v1/messages", {**body, "model": urllib.parse.unquote(model)}
