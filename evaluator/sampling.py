"""Which events are judged under a rubric: deterministic in the event's id, nested as the rate grows."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from evaluator.model.rubric import SampleRule
from evaluator.model.sample import SampleReason

_PURPOSE = b"adjudge.sample"
_DRAW_BITS = 53


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an event's runs are judged, why, and how probable that was (sampling × capture, 0 to 1)."""

    taken: bool
    reason: SampleReason
    probability: float


def draw(event_id: str) -> float:
    """The event's place in [0, 1), uniform over ids and the same for ever.

    It knows nothing of the rubric, so samples nest: whatever a rubric at 5 % takes, one at 20 % takes too. Verdicts
    of two rubrics can then be compared on the same events, and raising a rate never drops what was judged before.
    """
    digest = blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8, person=_PURPOSE).digest()
    # A float holds 53 bits exactly; more would round up to 1.0 now and then.
    return (int.from_bytes(digest, "big") >> (64 - _DRAW_BITS)) / (1 << _DRAW_BITS)


def decide(rule: SampleRule, event_id: str, *, always: bool) -> Decision:
    """Whether the event's runs are judged; `always` says that a run of the event matched an always rule.

    The probability of the rate is given for what is not taken as well.
    """
    if always:
        return Decision(True, SampleReason.ALWAYS, rule.capture_probability)
    return Decision(draw(event_id) < rule.rate, SampleReason.RATE, rule.rate * rule.capture_probability)
