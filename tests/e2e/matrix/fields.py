"""What the tables of docs/translation.json name, as each dialect says it: members put into a plain request.

`content` replaces the user's content, `before` stands in front of the user's message, all else is put
into the body; objects are merged.
"""

import json
from pathlib import Path

from matrix.scenario import IMAGE, SCHEMA

_PAGE = json.loads((Path(__file__).parents[3] / "docs" / "translation.json").read_text())
TABLES = {name if name.startswith("openai.") else name.split(".")[0]: fields for name, fields in _PAGE.items()}

PDF = "JVBERi0xLjQKJSVFT0YK"
URL = "https://files.test/x"
_CHAT_TOOL = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
_FLAT_TOOL = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
_CLAUDE_TOOL = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
_GEMINI_TOOL = [{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT", "properties": {
    "city": {"type": "STRING"}}}}]}]
_BEDROCK_TOOL = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]}
_TEXT = {"type": "text", "text": "x"}

CHAT = {
    "system prompt": {"before": [{"role": "system", "content": "Be brief."}]},
    "developer role": {"before": [{"role": "developer", "content": "Be brief."}]},
    "image, base64": {"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + IMAGE}}]},
    "image by URL": {"content": [{"type": "image_url", "image_url": {"url": URL + ".png"}}]},
    "image detail": {"content": [{"type": "image_url", "image_url": {
        "url": "data:image/png;base64," + IMAGE, "detail": "low"}}]},
    "audio input": {"content": [_TEXT, {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]},
    "file, base64": {"content": [_TEXT, {"type": "file", "file": {
        "filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF}}]},
    "file by id": {"content": [_TEXT, {"type": "file", "file": {"file_id": URL}}]},
    "function tools": {"tools": _CHAT_TOOL},
    "tool choice: auto": {"tools": _CHAT_TOOL, "tool_choice": "auto"},
    "tool choice: none": {"tools": _CHAT_TOOL, "tool_choice": "none"},
    "tool choice: any tool required": {"tools": _CHAT_TOOL, "tool_choice": "required"},
    "tool choice: a named tool": {"tools": _CHAT_TOOL, "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    "tool choice: a list of allowed tools": {"tools": _CHAT_TOOL, "tool_choice": {
        "type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "weather"}}]}}},
    "parallel tool calls switched": {"tools": _CHAT_TOOL, "parallel_tool_calls": False},
    "maximum of output tokens": {"max_tokens": 50},
    "temperature": {"temperature": 0.5},
    "top p": {"top_p": 0.5},
    "presence penalty": {"presence_penalty": 0.5},
    "frequency penalty": {"frequency_penalty": 0.5},
    "seed": {"seed": 7},
    "stop sequences": {"stop": ["END"]},
    "number of choices": {"n": 2},
    "log probabilities": {"logprobs": True},
    "logit bias": {"logit_bias": {"50256": -100}},
    "JSON output": {"response_format": {"type": "json_object"}},
    "JSON schema of the output": {"response_format": {"type": "json_schema", "json_schema": {
        "name": "person", "strict": True, "schema": SCHEMA}}},
    "reasoning effort": {"reasoning_effort": "low", "max_tokens": 4096},
    "prompt cache key": {"prompt_cache_key": "k"},
    "end user": {"user": "u-1"},
    "metadata": {"metadata": {"a": "b"}},
    "service tier": {"service_tier": "flex"},
    "store the answer": {"store": True},
    "verbosity": {"verbosity": "low"},
    "predicted output": {"prediction": {"type": "content", "content": "x"}},
}

RESPONSES = {
    "system prompt": {"instructions": "Be brief."},
    "developer role": {"before": [{"role": "developer", "content": "Be brief."}]},
    "image, base64": {"content": [{"type": "input_image", "image_url": "data:image/png;base64," + IMAGE}]},
    "image by URL": {"content": [{"type": "input_image", "image_url": URL + ".png"}]},
    "file, base64": {"content": [{"type": "input_text", "text": "x"}, {
        "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF}]},
    "file by URL": {"content": [{"type": "input_text", "text": "x"}, {"type": "input_file", "file_url": URL + ".pdf"}]},
    "file by id": {"content": [{"type": "input_text", "text": "x"}, {"type": "input_file", "file_id": URL}]},
    "function tools": {"tools": _FLAT_TOOL},
    "tool choice: none": {"tools": _FLAT_TOOL, "tool_choice": "none"},
    "tool choice: any tool required": {"tools": _FLAT_TOOL, "tool_choice": "required"},
    "tool choice: a named tool": {"tools": _FLAT_TOOL, "tool_choice": {"type": "function", "name": "weather"}},
    "parallel tool calls switched": {"tools": _FLAT_TOOL, "parallel_tool_calls": False},
    "tools that the provider runs": {"tools": [{"type": "web_search"}]},
    "maximum of output tokens": {"max_output_tokens": 50},
    "temperature": {"temperature": 0.5},
    "top p": {"top_p": 0.5},
    "JSON output": {"text": {"format": {"type": "json_object"}}},
    "JSON schema of the output": {"text": {"format": {
        "type": "json_schema", "name": "person", "strict": True, "schema": SCHEMA}}},
    "reasoning effort": {"reasoning": {"effort": "low"}, "max_output_tokens": 4096},
    "prompt cache key": {"prompt_cache_key": "k"},
    "metadata": {"metadata": {"a": "b"}},
    "service tier": {"service_tier": "flex"},
    "previous response by id": {"previous_response_id": "resp_1"},
    "verbosity": {"text": {"verbosity": "low"}},
    "background response": {"background": True},
}

ANTHROPIC = {
    "system prompt": {"system": "Be brief."},
    "image, base64": {"content": [{"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": IMAGE}}]},
    "image by URL": {"content": [{"type": "image", "source": {"type": "url", "url": URL + ".png"}}]},
    "file, base64": {"content": [_TEXT, {"type": "document", "source": {
        "type": "base64", "media_type": "application/pdf", "data": PDF}}]},
    "file by URL": {"content": [_TEXT, {"type": "document", "source": {"type": "url", "url": URL + ".pdf"}}]},
    "file as plain text": {"content": [_TEXT, {"type": "document", "source": {
        "type": "text", "media_type": "text/plain", "data": "words"}}]},
    "function tools": {"tools": _CLAUDE_TOOL},
    "tool choice: auto": {"tools": _CLAUDE_TOOL, "tool_choice": {"type": "auto"}},
    "tool choice: none": {"tools": _CLAUDE_TOOL, "tool_choice": {"type": "none"}},
    "tool choice: any tool required": {"tools": _CLAUDE_TOOL, "tool_choice": {"type": "any"}},
    "tool choice: a named tool": {"tools": _CLAUDE_TOOL, "tool_choice": {"type": "tool", "name": "weather"}},
    "parallel tool calls switched": {"tools": _CLAUDE_TOOL, "tool_choice": {
        "type": "auto", "disable_parallel_tool_use": True}},
    "tools that the provider runs": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "temperature": {"temperature": 0.5},
    "top p": {"top_p": 0.5},
    "top k": {"top_k": 5},
    "stop sequences": {"stop_sequences": ["END"]},
    "JSON schema of the output": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "budget of thinking tokens": {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 4096},
    "cache breakpoints": {"content": [{**_TEXT, "cache_control": {"type": "ephemeral"}}]},
    "end user": {"metadata": {"user_id": "u-1"}},
    "service tier": {"service_tier": "standard_only"},
}

GEMINI = {
    "system prompt": {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
    "image, base64": {"content": [{"inlineData": {"mimeType": "image/png", "data": IMAGE}}]},
    "image by URL": {"content": [{"fileData": {"mimeType": "image/png", "fileUri": URL + ".png"}}]},
    "audio input": {"content": [{"text": "x"}, {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}]},
    "file, base64": {"content": [{"text": "x"}, {"inlineData": {"mimeType": "application/pdf", "data": PDF}}]},
    "function tools": {"tools": _GEMINI_TOOL},
    "tool choice: auto": {"tools": _GEMINI_TOOL, "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}},
    "tool choice: none": {"tools": _GEMINI_TOOL, "toolConfig": {"functionCallingConfig": {"mode": "NONE"}}},
    "tool choice: any tool required": {"tools": _GEMINI_TOOL, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
    "tools that the provider runs": {"tools": [{"googleSearch": {}}]},
    "maximum of output tokens": {"generationConfig": {"maxOutputTokens": 50}},
    "temperature": {"generationConfig": {"temperature": 0.5}},
    "top p": {"generationConfig": {"topP": 0.5}},
    "top k": {"generationConfig": {"topK": 5}},
    "presence penalty": {"generationConfig": {"presencePenalty": 0.5}},
    "frequency penalty": {"generationConfig": {"frequencyPenalty": 0.5}},
    "seed": {"generationConfig": {"seed": 7}},
    "stop sequences": {"generationConfig": {"stopSequences": ["END"]}},
    "number of choices": {"generationConfig": {"candidateCount": 2}},
    "log probabilities": {"generationConfig": {"responseLogprobs": True}},
    "JSON output": {"generationConfig": {"responseMimeType": "application/json"}},
    "JSON schema of the output": {"generationConfig": {
        "responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
    "budget of thinking tokens": {"generationConfig": {"thinkingConfig": {"thinkingBudget": 2048}, "maxOutputTokens": 4096}},
    "cached content by name": {"cachedContent": "cachedContents/x"},
    "safety settings": {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]},
}

BEDROCK = {
    "system prompt": {"system": [{"text": "Be brief."}]},
    "image, base64": {"content": [{"image": {"format": "png", "source": {"bytes": IMAGE}}}]},
    "file, base64": {"content": [{"text": "x"}, {"document": {"format": "pdf", "name": "a", "source": {"bytes": PDF}}}]},
    "function tools": {"toolConfig": _BEDROCK_TOOL},
    "tool choice: auto": {"toolConfig": {**_BEDROCK_TOOL, "toolChoice": {"auto": {}}}},
    "tool choice: any tool required": {"toolConfig": {**_BEDROCK_TOOL, "toolChoice": {"any": {}}}},
    "tool choice: a named tool": {"toolConfig": {**_BEDROCK_TOOL, "toolChoice": {"tool": {"name": "weather"}}}},
    "maximum of output tokens": {"inferenceConfig": {"maxTokens": 50}},
    "temperature": {"inferenceConfig": {"temperature": 0.5}},
    "top p": {"inferenceConfig": {"topP": 0.5}},
    "stop sequences": {"inferenceConfig": {"stopSequences": ["END"]}},
    "cache breakpoints": {"content": [{"text": "x"}, {"cachePoint": {"type": "default"}}]},
    "metadata": {"requestMetadata": {"a": "b"}},
}

FIELDS = {"openai.chat": CHAT, "openai.responses": RESPONSES, "anthropic": ANTHROPIC, "gemini": GEMINI, "bedrock": BEDROCK}
_LISTS = {"openai.responses": "input", "gemini": "contents"}


def _merge(into, members):
    for name, value in members.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def with_field(dialect, body, field):
    """A copy of a plain request that says it."""
    body, said = json.loads(json.dumps(body)), dict(FIELDS[dialect][field])
    messages = body[_LISTS.get(dialect, "messages")]
    if "content" in said:
        messages[-1]["parts" if dialect == "gemini" else "content"] = said.pop("content")
    messages[:0] = said.pop("before", [])
    _merge(body, said)
    return body
