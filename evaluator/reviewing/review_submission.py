"""A person's review: taken once, kept for ever, and what follows from it, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from evaluator.deployment import Deployment
from evaluator.model.person import Person
from evaluator.model.review import ItemState, Review
from evaluator.reviewing.review_form import ReviewForm
from evaluator.store.database import Connection


@dataclass(frozen=True)
class Submitted:
    """A review as it was taken."""

    review: Review
    state: ItemState
    """The item's, now."""
    repeated: bool
    """This form was taken before; nothing was done twice."""


def submit(deployment: Deployment, person: Person, form: ReviewForm) -> Submitted:
    """Take a review under a live claim: what it is, first pass, gold or adjudication, is the claim's kind.

    Raises WrongRole, NotFound, BadInput naming each criterion, and ClaimLost where another holds the item or it was
    settled meanwhile; the form is then good for `second_opinion`.
    """
    raise NotImplementedError


def submit_in(
    connection: Connection, deployment: Deployment, person: Person, form: ReviewForm, now: datetime
) -> Submitted:
    """As `submit`, within a transaction."""
    raise NotImplementedError


def second_opinion(deployment: Deployment, person: Person, form: ReviewForm) -> Submitted:
    """Take a review without a claim, of somebody who had opened the item; raises as `submit`."""
    raise NotImplementedError


def revise(deployment: Deployment, person: Person, form: ReviewForm) -> Submitted:
    """Replace the person's first pass in what counts, after the reveal; agreement goes on counting the first pass."""
    raise NotImplementedError
