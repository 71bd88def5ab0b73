"""Stored verdicts on one run → one verdict: repeats of a judge first, then the judges, unless one was asked above them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from evaluator.model.rubric import Criterion, Rubric, Thresholds
from evaluator.model.verdict import CriterionLabel, CriterionVerdict, VerdictLabel
from evaluator.scoring import label_of, level_passes, score

RESTS_ON_CRITICAL = "critical_fail"
"""The flag of a verdict that is fail because a critical criterion failed."""


@dataclass(frozen=True, slots=True)
class Said:
    """One stored verdict on a run: what one judge said of it in one of its repeats; score 0 to 1."""

    judge: str
    repeat: int
    escalated: bool
    verdict: VerdictLabel
    score: float | None
    flags: tuple[str, ...] = ()
    criteria: tuple[CriterionVerdict, ...] = ()
    """May be left out where the judge was asked once; of repeats they are combined criterion by criterion."""


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """What all that was said of a run comes to."""

    verdict: VerdictLabel
    score: float | None
    critical_failed: bool
    split: bool
    """Whether judges or repeats gave different labels, unknown aside."""
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Opinion:
    """One judge's verdict on a run, its repeats combined; score 0 to 1."""

    verdict: VerdictLabel
    score: float | None
    critical_failed: bool = False


def run_verdict(rubric: Rubric, said: Sequence[Said]) -> RunVerdict:
    """One verdict for a run from all that its judges said, in any order; the same verdict given twice counts once.

    Where the stronger judge has spoken, its verdict stands for all others: they no longer count, nor do their flags
    or their disagreement. Otherwise the repeats of each judge become one opinion (`opinion_of`), and the opinions of
    several judges are combined (`combine`). A critical criterion has failed where it did for more than half of them.
    """
    if len(said) > 1:
        said = list(dict.fromkeys(said))
        said = [one for one in said if one.escalated] or said
    by_judge: defaultdict[str, list[Said]] = defaultdict(list)
    for one in said:
        by_judge[one.judge].append(one)
    opinions = [opinion_of(rubric, repeats) for repeats in by_judge.values()]
    verdict, mean = combine(opinions, rubric.verdict)
    return RunVerdict(
        verdict=verdict,
        score=mean,
        critical_failed=2 * sum(each.critical_failed for each in opinions) > len(opinions),
        split=len({one.verdict for one in said} - {VerdictLabel.UNKNOWN}) > 1,
        flags=frozenset(flag for one in said for flag in one.flags),
    )


def opinion_of(rubric: Rubric, repeats: Sequence[Said]) -> Opinion:
    """One judge's opinion from its repeats.

    Asked once, it stands as it is. Of several repeats each criterion gets one answer (`answer_of`), and these are
    scored as the answers of one reply are. Where any of them comes without its criteria, verdicts and scores are
    combined as those of several judges are.
    """
    if len(repeats) > 1 and all(one.criteria for one in repeats):
        answers = [answer_of(criterion, _answers(criterion, repeats)) for criterion in rubric.criteria]
        scored = score(rubric.criteria, answers, rubric.verdict)
        return Opinion(scored.verdict, scored.score, scored.critical_failed)
    each = [Opinion(one.verdict, one.score, RESTS_ON_CRITICAL in one.flags) for one in repeats]
    verdict, mean = combine(each, rubric.verdict)
    return Opinion(verdict, mean, 2 * sum(one.critical_failed for one in each) > len(each))


def answer_of(criterion: Criterion, answers: Sequence[CriterionVerdict]) -> CriterionVerdict:
    """One answer to a criterion from a judge's repeats.

    Unknown where half or more are; else what more than half of the rest say: not applicable, pass or fail, and a tie
    is unknown. On a scale pass or fail is for the mean of the levels to say, never for the level said most often.
    """
    known = [each for each in answers if each.verdict != CriterionLabel.UNKNOWN]
    decided = [each for each in known if each.verdict != CriterionLabel.NOT_APPLICABLE]
    levels = [each.level for each in decided if each.level is not None]
    mean = fsum(levels) / len(levels) if levels else None
    if 2 * len(known) <= len(answers) or 2 * len(decided) == len(known):
        label, mean = CriterionLabel.UNKNOWN, None
    elif 2 * len(decided) < len(known):
        label, mean = CriterionLabel.NOT_APPLICABLE, None
    elif criterion.scale and mean is not None:
        label = CriterionLabel.PASS if level_passes(criterion, mean) else CriterionLabel.FAIL
    else:
        label = _majority([each.verdict for each in decided])
    return CriterionVerdict(id=criterion.id, verdict=label, level=mean)


def combine(opinions: Sequence[Opinion], thresholds: Thresholds) -> tuple[VerdictLabel, float | None]:
    """One verdict and score for a run from the opinions of several judges.

    A single opinion stands as it is. Of several, the score is the mean of those that have one, never the mode. The
    verdict is unknown where half or more are unknown; else, among the rest, more than half fail is fail whatever the
    mean (a critical criterion fails the whole), exactly half is a tie and unknown, less than half leaves it to the
    mean. Where no opinion has a score the majority's verdict stands, and unknown where there is none.
    """
    if len(opinions) == 1:
        return opinions[0].verdict, opinions[0].score
    scores = [opinion.score for opinion in opinions if opinion.score is not None]
    # fsum does not depend on the order of its terms, so neither does the result.
    mean = fsum(scores) / len(scores) if scores else None
    votes = Counter(opinion.verdict for opinion in opinions if opinion.verdict != VerdictLabel.UNKNOWN)
    decided = votes.total()
    fails = votes[VerdictLabel.FAIL]
    if 2 * decided <= len(opinions) or 2 * fails == decided:
        return VerdictLabel.UNKNOWN, mean
    if 2 * fails > decided:
        return VerdictLabel.FAIL, mean
    if mean is not None:
        return label_of(mean, thresholds), mean
    verdict, most = votes.most_common(1)[0]
    return (verdict if 2 * most > decided else VerdictLabel.UNKNOWN), None


def _answers(criterion: Criterion, repeats: Sequence[Said]) -> list[CriterionVerdict]:
    """What each repeat answered to a criterion; what it left out is unknown."""
    unanswered = CriterionVerdict(id=criterion.id, verdict=CriterionLabel.UNKNOWN)
    return [next((each for each in one.criteria if each.id == criterion.id), unanswered) for one in repeats]


def _majority(labels: Sequence[CriterionLabel]) -> CriterionLabel:
    passed = 2 * labels.count(CriterionLabel.PASS) - len(labels)
    if not passed:
        return CriterionLabel.UNKNOWN
    return CriterionLabel.PASS if passed > 0 else CriterionLabel.FAIL
