"""The dialects as those who speak them see them: one module each, which knows that dialect alone.

A module says how a conversation is asked for (`request`, `user`, `results`), reads answers as
strictly as its reference is written (`read`, `read_error`, `read_broken`), and how a provider of the
dialect understands a request (`seen`). Conversations and what must come of them are in scenario.py.
"""

from matrix import anthropic, bedrock, cohere, gemini, openai_chat, openai_responses

DIALECTS = {module.NAME: module for module in (openai_chat, openai_responses, anthropic, gemini, bedrock, cohere)}
