"""Train evaluator/store/packing.zdict on synthetic spans, chats and documents written here.

Run once: `python -m benchmarks.train_dictionary`. A retrained dictionary needs a new number in
evaluator/store/packing.py, never the old file's name: rows in databases refer to it.
"""

from __future__ import annotations

import random
import sys
import uuid
from pathlib import Path
from typing import Any

import orjson
import zstandard

SUBJECTS = [
    "the customer",
    "our support team",
    "the order",
    "your refund",
    "the invoice",
    "this ticket",
    "the shipment",
    "my account",
    "the agent",
    "the payment",
    "the subscription",
    "a replacement",
    "the warehouse",
    "the article",
    "the password reset link",
    "the delivery address",
    "your bank",
    "the assistant",
    "the discount code",
    "the return label",
    "the billing department",
    "the contract",
    "the patient",
    "the claim",
    "the candidate",
    "the meeting",
    "the report",
    "the data set",
    "the user",
    "the developer",
    "the function",
    "the test",
    "the database",
    "the server",
    "this document",
]
VERBS = [
    "has been sent to",
    "will arrive within",
    "could not be found in",
    "was refunded to",
    "is waiting for",
    "needs to confirm",
    "does not match",
    "asks about",
    "was cancelled by",
    "has already received",
    "should contact",
    "is linked to",
    "was updated in",
    "depends on",
    "returns",
    "explains",
    "summarises",
    "requires",
    "is not available for",
    "was created by",
    "failed because of",
    "was shipped from",
    "is scheduled for",
    "contains",
]
OBJECTS = [
    "the original payment method",
    "five business days",
    "the system",
    "the next billing period",
    "a manager",
    "the tracking number",
    "the attached document",
    "the terms and conditions",
    "the knowledge base",
    "an error message",
    "the shopping cart",
    "two-factor authentication",
    "the customer's email address",
    "the previous conversation",
    "the search results",
    "the available tools",
    "the following steps",
    "a valid receipt",
    "the shipping label",
    "the quarterly figures",
    "the source code",
    "the requested information",
    "a list of items",
    "the support portal",
]
ADVERBS = [
    "unfortunately",
    "as soon as possible",
    "in the meantime",
    "please note that",
    "thank you for your patience",
    "for example",
    "according to the policy",
    "if you have any further questions",
    "I am sorry for the inconvenience",
    "let me know whether this helps",
    "based on the information provided",
    "step by step",
    "first of all",
    "in addition",
    "however",
    "therefore",
    "to summarise",
    "before we continue",
]
SYSTEM = [
    "You are a helpful assistant. Answer the question using only the context below.",
    "You are a customer support agent. Be polite, concise and accurate.",
    "Extract the fields as JSON. Return only valid JSON without explanation.",
    "Use the tools when needed. If you do not know the answer, say that you do not know.",
    "Summarise the conversation in one paragraph and list the open questions.",
]
QUESTIONS = [
    "Where is my order?",
    "When will I get my refund?",
    "How do I reset my password?",
    "Can you cancel my subscription?",
    "What is the status of my claim?",
    "Why was my card declined?",
    "How can I change the delivery address?",
    "Which plan do I have?",
]
MODELS = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1-mini",
    "claude-3-5-sonnet-20241022",
    "claude-sonnet-4-5",
    "gemini-2.5-flash",
    "mistral-large-latest",
    "llama-3.3-70b-instruct",
    "text-embedding-3-small",
]
PROVIDERS = ["openai", "anthropic", "google", "mistral_ai", "aws.bedrock", "azure.ai.openai"]
TOOLS = ["search_kb", "get_order", "refund_payment", "lookup_customer", "send_email", "web_search", "run_sql"]
WORKFLOWS = ["Support", "Refund", "fulfill-order", "Onboarding", "Claims", "Research", "SubAgent"]
SCOPES = ["botanu_sdk", "botanu.gen_ai", "botanu.data", "opentelemetry.instrumentation.openai", "openinference"]


def sentence(rng: random.Random) -> str:
    """One plausible English sentence."""
    text = f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)}"
    if rng.random() < 0.4:
        text = f"{rng.choice(ADVERBS)}, {text}"
    return text[0].upper() + text[1:] + rng.choice([".", ".", ".", "!", "?"])


def paragraph(rng: random.Random, least: int = 2, most: int = 12) -> str:
    """Several sentences."""
    return rng.choice([" ", "\n", " "]).join(sentence(rng) for _ in range(rng.randint(least, most)))


def _hex(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(digits * 4):0{digits}x}"


def messages(rng: random.Random) -> list[dict[str, Any]]:
    """A chat in the shape of gen_ai.input.messages."""
    turns = [("system", rng.choice(SYSTEM)), ("user", rng.choice(QUESTIONS) + " " + paragraph(rng, 1, 4))]
    for _ in range(rng.randint(0, 2)):
        turns += [("assistant", paragraph(rng, 1, 5)), ("user", sentence(rng))]
    return [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in turns]


def detail(rng: random.Random) -> dict[str, Any]:
    """What packing holds of one span beside its content."""
    identity = {
        "botanu.run_id": str(uuid.UUID(int=rng.getrandbits(128))),
        "botanu.workflow": rng.choice(WORKFLOWS),
        "botanu.event_id": f"{rng.choice(['ticket', 'order', 'claim'])}-{rng.randint(1, 99999)}",
        "botanu.customer_id": rng.choice(["acme", "globex", "initech"]) + str(rng.randint(1, 99)),
        "botanu.environment": rng.choice(["production", "staging"]),
    }
    kinds: list[dict[str, Any]] = [
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": rng.choice(PROVIDERS),
            "gen_ai.system": rng.choice(PROVIDERS),
            "gen_ai.request.model": rng.choice(MODELS),
            "gen_ai.response.model": rng.choice(MODELS),
            "gen_ai.response.id": f"chatcmpl-{_hex(rng, 20)}",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.usage.input_tokens": rng.randint(10, 9000),
            "gen_ai.usage.output_tokens": rng.randint(5, 2000),
            "gen_ai.usage.cache_read.input_tokens": 0,
            "botanu.vendor": rng.choice(PROVIDERS),
            "botanu.usage.cached_tokens": 0,
            "server.address": "api.example.com",
            "server.port": 443,
        },
        {
            "botanu.run.start_time": f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T04:05:20.641521+00:00",
            "botanu.workflow.version": f"v:{_hex(rng, 12)}",
            "botanu.root_run_id": identity["botanu.run_id"],
            "botanu.attempt": 1,
            "botanu.run.duration_ms": rng.random() * 9000,
            "botanu.outcome.value_type": "tickets_resolved",
            "botanu.outcome.value_amount": 1,
            "botanu.outcome.confidence": round(rng.random(), 2),
            "botanu.correlation.zendesk_ticket_id": f"T-{rng.randint(1, 9999)}",
        },
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": rng.choice(TOOLS),
            "gen_ai.tool.call.id": f"call_{_hex(rng, 12)}",
            "botanu.tool.success": True,
            "botanu.tool.items_returned": rng.randint(0, 20),
            "botanu.tool.duration_ms": rng.random() * 100,
        },
        {
            "http.method": "POST",
            "http.url": "https://api.example.com/v1/chat/completions",
            "http.status_code": 200,
            "http.request.method": "POST",
            "url.full": "https://api.example.com/v1/messages",
        },
        {
            "openinference.span.kind": rng.choice(["LLM", "CHAIN", "RETRIEVER", "TOOL"]),
            "llm.model_name": rng.choice(MODELS),
            "llm.token_count.prompt": rng.randint(1, 5000),
            "llm.token_count.completion": rng.randint(1, 900),
            "llm.token_count.total": rng.randint(1, 6000),
            "session.id": _hex(rng, 32),
        },
        {"db.system": "postgresql", "db.operation": "SELECT", "db.name": "kb", "botanu.data.rows_returned": 3},
    ]
    span: dict[str, Any] = {
        "attributes": {**identity, **rng.choice(kinds)},
        "resource": {
            "service.name": rng.choice(["support-svc", "orders", "agent", "unknown_service"]),
            "deployment.environment": "production",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.39.0",
        },
        "scope": rng.choice(SCOPES),
    }
    if rng.random() < 0.3:
        span["span_events"] = [
            {"name": "botanu.run.started", "time_ns": 1763611522256982000, "attributes": {"workflow": "Support"}},
            {
                "name": "botanu.run.completed",
                "time_ns": 1763611522256982000,
                "attributes": {"workflow": "Support", "status": "success", "duration_ms": 12.076},
            },
        ]
    return span


def content(rng: random.Random) -> dict[str, str]:
    """What packing holds of one span's content."""
    chat = orjson.dumps(messages(rng)).decode()
    reply = [{"role": "assistant", "parts": [{"type": "text", "content": paragraph(rng)}], "finish_reason": "stop"}]
    shapes = [
        {"gen_ai.input.messages": chat, "gen_ai.output.messages": orjson.dumps(reply).decode()},
        {"botanu.eval.input_content": chat, "botanu.eval.output_content": paragraph(rng)},
        {"botanu.eval.retrieval_content": paragraph(rng, 5, 25)},
        {"input.value": paragraph(rng), "output.value": paragraph(rng)},
        {"traceloop.entity.input": orjson.dumps({"inputs": {"question": sentence(rng)}}).decode()},
        {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": paragraph(rng)},
        {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": paragraph(rng)},
    ]
    return rng.choice(shapes)


def capture(rng: random.Random) -> dict[str, Any]:
    """What packing holds of one run's capture."""
    turns = [{"role": "user", "content": paragraph(rng, 1, 5)}, {"role": "assistant", "content": paragraph(rng)}]
    sides = {"input": {"messages": turns}, "output": paragraph(rng), "retrieval": [paragraph(rng)]}
    return {
        **{
            name: {"value": value, "fidelity": "full", "dialect": "gen_ai", "span_id": _hex(rng, 16)}
            for name, value in sides.items()
        },
        "redactions": {"email": 1},
    }


def main() -> None:
    """Write the dictionary to the path given, or to its place in the package."""
    rng = random.Random(20260101)
    makers = (detail, detail, content, content, capture)
    samples: list[bytes | bytearray | memoryview] = [orjson.dumps(rng.choice(makers)(rng)) for _ in range(6000)]
    trained = zstandard.train_dictionary(48 * 1024, samples, level=3)
    default = Path(__file__).parent.parent / "evaluator" / "store" / "packing.zdict"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    target.write_bytes(trained.as_bytes())
    print(f"{target}: {len(trained.as_bytes())} bytes")


if __name__ == "__main__":
    main()
