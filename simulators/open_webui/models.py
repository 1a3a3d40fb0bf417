"""The language models behind the server: one fast, one slow, one that fails. What they answer depends on the prompt alone."""

import secrets
from typing import Any

FAST, SLOW, FAILING = "fake-gpt", "fake-slow", "fake-error"
MODELS = (FAST, SLOW, FAILING)
FAILURE = "The fake model failed on purpose."


def listed() -> list[dict[str, Any]]:
    """As `GET /api/models` tells them (observed on 0.12.4)."""
    return [
        {
            "id": name,
            "object": "model",
            "created": 1_700_000_000,
            "owned_by": "openai",
            "connection_type": "external",
            "name": name,
            "openai": {
                "id": name,
                "object": "model",
                "created": 1_700_000_000,
                "owned_by": "fake",
                "connection_type": "external",
            },
            "provider": "",
            "urlIdx": 0,
            "actions": [],
            "filters": [],
            "tags": [],
        }
        for name in MODELS
    ]


def text_of(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def reply(prompt: list[dict[str, Any]]) -> str:
    """`Echo N: text`, N being the number of user messages; 200 words where the text has the word `long`."""
    users = [text_of(message.get("content")) for message in prompt if message.get("role") == "user"]
    last = users[-1].strip() if users else ""
    if "long" in last.lower().split():
        return " ".join(f"word{place}" for place in range(200))
    return f"Echo {len(users)}: {last or '(empty)'}"


def usage(prompt: list[dict[str, Any]], text: str) -> dict[str, int]:
    asked = sum(len(text_of(message.get("content")).split()) for message in prompt)
    said = len(text.split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def whole(model: str, prompt: list[dict[str, Any]], now: int) -> dict[str, Any]:
    """An OpenAI answer in one piece."""
    text = reply(prompt)
    said = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": now,
        "model": model,
        "choices": [said],
        "usage": usage(prompt, text),
    }


def chunk(answer: dict[str, Any], delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    """One piece of a streamed answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    named = {name: answer[name] for name in ("id", "created", "model")}
    return named | {"object": "chat.completion.chunk", "choices": [choice]}


def pieces(text: str) -> list[str]:
    """A text as it is streamed: word by word."""
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]


def failure() -> dict[str, Any]:
    return {"error": {"message": FAILURE, "type": "server_error", "param": None, "code": "fake_failure"}}
