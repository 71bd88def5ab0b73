"""Which attributes join runs to the world, and which carry captured content."""

from __future__ import annotations

from enum import IntEnum


class Part(IntEnum):
    """What an attribute is for."""

    DETAIL = 3
    """Redacted, kept with the span."""
    IDENTITY = 1
    """Kept as sent: a key that joins, a name or a code, never free text."""
    CONTENT = 2
    """Redacted, kept in the span's body."""


_CONTENT = frozenset(
    [
        "langfuse.trace.input",
        "langfuse.trace.output",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.retrieval.documents",
        "gen_ai.retrieval.query.text",
        "gen_ai.prompt",
        "gen_ai.completion",
        "input.value",
        "output.value",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "pydantic_ai.all_messages",
        "all_messages_events",
        "final_result",
        "tool.parameters",
        "tool_arguments",
        "tool_response",
        "ai.response.text",
        "ai.response.object",
        "ai.response.toolCalls",
        "ai.response.reasoning",
        "ai.result.text",
        "ai.result.object",
        "ai.result.toolCalls",
        "ai.toolCall.args",
        "ai.toolCall.result",
    ]
)
_CONTENT_STARTS = (
    "botanu.eval.",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts",
    "llm.completions",
    "retrieval.documents.",
    "reranker.",
    "ai.prompt",
)
_IDENTITY = frozenset(
    [
        "botanu.run_id",
        "botanu.event_id",
        "botanu.customer_id",
        "botanu.tenant_id",
        "botanu.workflow",
        "botanu.environment",
        "botanu.parent_run_id",
        "botanu.root_run_id",
        "botanu.retry_of_run_id",
        "botanu.attempt",
        "botanu.workflow.version",
        "botanu.step",
        "botanu.vendor",
        "botanu.vendor.request_id",
        "botanu.outcome.value_type",
        "botanu.outcome.status",
        "gen_ai.system",
        "gen_ai.provider.name",
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.agent.name",
        "gen_ai.tool.name",
        "gen_ai.tool.type",
        "gen_ai.workflow.name",
        "gen_ai.output.type",
        "gen_ai.token.type",
        "gen_ai.response.finish_reasons",
        "gen_ai.evaluation.name",
        "gen_ai.evaluation.score.label",
        "llm.model_name",
        "llm.provider",
        "llm.system",
        "llm.request.type",
        "openinference.span.kind",
        "traceloop.span.kind",
        "traceloop.workflow.name",
        "traceloop.entity.name",
        "langfuse.observation.type",
        "ai.operationId",
        "ai.model.provider",
        "ai.model.id",
        "mlflow.spanType",
        "tool.name",
        "http.method",
        "http.status_code",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.name",
        "db.system",
        "db.system.name",
        "db.operation",
        "db.operation.name",
        "db.name",
        "db.namespace",
        "rpc.system",
        "rpc.method",
        "rpc.service",
        "error.type",
        "exception.type",
        "event.name",
        "code.function",
        "code.namespace",
        "thread.name",
    ]
)
_IDENTITY_STARTS = (
    "botanu.correlation.",
    "botanu.run.",
    "botanu.usage.",
    "gen_ai.usage.",
    "service.",
    "telemetry.",
)

KNOWN_PARTS: dict[str, Part] = {}
"""What part_of has answered so far."""
_MOST_KNOWN = 20_000
_LONGEST_KNOWN = 200
"""Attribute names come from outside, so what is remembered of them is bounded."""


def part_of(name: str) -> Part:
    """What the attribute of this name is for."""
    part = KNOWN_PARTS.get(name)
    if part is None:
        part = _part_of(name)
        if len(KNOWN_PARTS) < _MOST_KNOWN and len(name) < _LONGEST_KNOWN:
            KNOWN_PARTS[name] = part
    return part


def _part_of(name: str) -> Part:
    if name in _CONTENT or name.startswith(_CONTENT_STARTS):
        return Part.CONTENT
    if name in _IDENTITY or name.startswith(_IDENTITY_STARTS) or name.endswith(".id"):
        return Part.IDENTITY
    return Part.DETAIL


RESOURCE_KEPT = frozenset(
    [
        "service.name",
        "service.version",
        "deployment.environment",
        "deployment.environment.name",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
        "telemetry.sdk.language",
        "adjudge.judge",
    ]
)
"""The rest of a resource (process, host, container …) is repeated with every span and read by nothing here."""
