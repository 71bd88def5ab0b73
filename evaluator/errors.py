"""Every error Adjudge raises on purpose; the docstring is the default message.

AdjudgeError
├── BadInput            what arrived cannot be used; trying again as it is does not help
│   ├── Malformed
│   ├── TooLarge
│   ├── Unsupported
│   └── RubricInvalid
├── NotFound
├── Conflict
│   ├── ClaimLost
│   └── Unseen
├── Refused             who asks may not
│   ├── NoKey
│   ├── NotSignedIn
│   ├── WrongRole
│   └── WrongScope
├── Overloaded          trying again later helps
└── Misconfigured       a setting or the machine has to change
"""

from __future__ import annotations


class AdjudgeError(Exception):
    """Something Adjudge refuses or cannot do."""

    retry_helps = False

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint
        super().__init__(self.message if hint is None else f"{self.message} {hint}")


class BadInput(AdjudgeError):
    """What arrived cannot be used."""


class Malformed(BadInput):
    """The body cannot be read as what its content type says."""


class TooLarge(BadInput):
    """The body is larger than the limit."""


class Unsupported(BadInput):
    """The content type or encoding is not one that is read here."""


class RubricInvalid(BadInput):
    """The rubric has errors."""


class NotFound(AdjudgeError):
    """There is no such thing here."""


class Conflict(AdjudgeError):
    """This was reported already, with other content."""


class ClaimLost(Conflict):
    """Somebody else holds this item, or has reviewed it meanwhile; what you wrote is not lost."""


class Unseen(Conflict):
    """What you were shown is not what is to be judged any more; look at it anew, what you wrote is not lost."""


class Refused(AdjudgeError):
    """This is not allowed."""


class NoKey(Refused):
    """No API key that is known and active came with the request."""


class NotSignedIn(Refused):
    """Nobody is signed in here."""


class WrongRole(Refused):
    """Your role does not allow this."""


class WrongScope(Refused):
    """The API key does not carry the scope this needs."""


class Overloaded(AdjudgeError):
    """More is arriving than can be stored; try again shortly."""

    retry_helps = True

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 2) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Misconfigured(AdjudgeError):
    """A setting does not fit this machine."""
