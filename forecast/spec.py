"""A model as a small document: what enters, under which priors, and which claims are read from it.

A spec is a TOML file of `models/`. Unknown keys are errors, defaults live here, and a variation is a
named set of changes to a base spec whose digest it carries.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from forecast.errors import SpecError
from forecast.files import digest
from forecast.schema import CAUSES, KINDS, Cause, ChallengeKind, faults

DECADE = 10.0  # years


class Part(BaseModel):
    """A part of a spec; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Normal(Part):
    """A normal prior."""

    mean: float = 0.0
    sd: float = Field(gt=0)


# The prior of a spread: a half-normal's scale, or a normal cut off at zero, which says how large the spread usually is.
Scale = Annotated[float, Field(gt=0)] | Normal


def scale_prior(scale: float | Normal) -> Normal:
    """Return the normal whose positive half is the prior of a spread."""
    return scale if isinstance(scale, Normal) else Normal(sd=scale)


class Effect(Part):
    """The prior of one term's effect on some causes (onset) or kinds of challenge (result).

    The effect is on the log scale per half of the indicator's range, so moving an indicator from its
    low to its high end multiplies a rate by exp(2 x effect).
    """

    term: str = Field(description="an indicator, or two joined by a colon for their product")
    on: tuple[Cause, ...]
    mean: float = 0.0
    sd: float = Field(0.5, gt=0)
    varies_by_group: bool = False

    @property
    def factors(self) -> tuple[str, ...]:
        """The indicators whose product the term is."""
        return tuple(self.term.split(":"))


class Shrinkage(Part):
    """A common scale for the effects of a stage, learnt from the data, one for each cause or kind.

    ``ridge``: each effect's sd is multiplied by it. ``horseshoe``: each effect has a scale of its own too, so that most
    are near zero and a few are free up to their sd (regularised horseshoe, Piironen & Vehtari 2017).
    """

    form: Literal["ridge", "horseshoe"]
    scale: float = Field(
        gt=0, description="prior scale of the common scale: half-normal for ridge, half-Cauchy otherwise"
    )


class Onset(Part):
    """Priors of the onset stage; rates are per leader-year, for average values of the terms."""

    baseline: dict[Cause, Normal]
    group_sd: Scale = Field(0.5)
    country_sd: Scale = Field(0.5)
    period_sd: Scale = Field(0.3)
    slope_sd: Scale = Field(0.25)
    period_years: int = Field(10, gt=0)
    drift: dict[Cause, Normal] = Field({}, description="trend of each cause's log rate per decade; none means no trend")
    lag_days: int = Field(0, ge=0, description="a reading explains challenges only so many days after its day")
    shrinkage: Shrinkage | None = None
    effects: tuple[Effect, ...] = ()


class Ordered(Part):
    """Prior of the result of one kind of challenge.

    `failed` is the log odds of failure against anything better; `gap` the distance on the same
    scale to the second cut point, so a small gap makes concessions rare.
    """

    failed: Normal
    gap: Normal


class ResultStage(Part):
    """Priors of the result stage: failed < concession < removed."""

    cutpoints: dict[ChallengeKind, Ordered]
    group_sd: Scale = Field(0.5)
    shrinkage: Shrinkage | None = None
    effects: tuple[Effect, ...] = ()
    log_days: dict[ChallengeKind, Normal]
    log_days_sd: Scale = Field(1.5)
    removal_log_days_sd: float = Field(1.0, gt=0)


class Sampling(Part):
    """How the posterior is sampled."""

    draws: int = Field(2000, ge=10)
    tune: int = Field(1000, ge=10)
    chains: int = Field(4, ge=2)
    target_accept: float = Field(0.9, gt=0.5, lt=1)
    seed: int = 20221023

    def more_careful(self) -> Sampling:
        """Return settings for another try: half the distance to full acceptance, twice the draws, another seed."""
        return self.model_copy(
            update={"draws": 2 * self.draws, "target_accept": (1 + self.target_accept) / 2, "seed": self.seed + 1}
        )


class Gate(Part):
    """What a fit must reach before anything is published from it."""

    rhat: float = 1.01
    ess: float = 400
    divergences: int = 0


class Reference(Part):
    """Where priors are informed by another population: a file beside the spec, and what it is worth.

    The discount multiplies the file's precisions, as a power prior does (Ibrahim & Chen 2000): at 0.25 four
    observations there count as one here. Views of an earlier day than the last that the file learnt from do without it.
    """

    file: str = Field(pattern=r"^[a-z0-9_]+\.json$")
    discount: float = Field(ge=0, le=1, description="0 leaves the file out")


class Lesson(Part):
    """What another population taught of one parameter."""

    mean: float
    sd: float = Field(gt=0)

    def inform(self, prior: Normal, discount: float) -> Normal:
        """Return a prior with this knowledge added at a discount.

        Examples
        --------
        >>> Lesson(mean=1.0, sd=0.5).inform(Normal(mean=0.0, sd=1.0), 0.25)
        Normal(mean=0.5, sd=0.7071067811865476)
        """
        own, added = 1 / prior.sd**2, discount / self.sd**2
        return Normal(mean=(own * prior.mean + added * self.mean) / (own + added), sd=(own + added) ** -0.5)


class Provenance(Part):
    """Where a reference prior comes from; what else it says is kept as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)

    known_to: date = Field(description="last day of what it learnt from")


class ReferencePrior(Part):
    """A reference prior: base rates and effects of another population, with where they come from."""

    about: str
    baseline: dict[Cause, Lesson]
    effects: dict[str, Lesson] = Field(description="by label, such as 'tenure on coup'")
    parameters: tuple[str, ...] = Field(description="order of the covariance")
    covariance: tuple[tuple[float, ...], ...]
    provenance: Provenance


class Claim(Part):
    """A statement of the founding article and how the posterior answers it.

    `kind` says what is looked at: ``effect`` (one or more terms on a cause), ``result`` (terms on the
    result of a challenge), ``coup_over_revolution`` (which outcome is likelier in the forecast),
    ``share`` (the part of the forecast's spread that a term's range accounts for) or ``episodes``
    (which challenges are in the data).
    """

    id: str
    statement: str
    kind: Literal["effect", "result", "coup_over_revolution", "share", "episodes"]
    on: tuple[Cause, ...] = ()
    terms: tuple[str, ...] = ()
    expected: Literal["positive", "negative", "none"] = "none"
    groups: tuple[str, ...] = ()


class Spec(Part):
    """A complete model spec."""

    name: str
    title: str
    frames: tuple[str, ...] = Field((), description="sampling frames that are fitted; none named means all")
    onset: Onset
    result: ResultStage
    reference: Reference | None = None
    sampling: Sampling = Sampling()
    gate: Gate = Gate()
    claims: tuple[Claim, ...] = ()
    variations: dict[str, dict[str, Any]] = {}

    @model_validator(mode="after")
    def _complete(self) -> Spec:
        for stage, got, wanted in (
            ("onset.baseline", self.onset.baseline, CAUSES),
            ("onset.drift", self.onset.drift or dict.fromkeys(CAUSES), CAUSES),
            ("result.cutpoints", self.result.cutpoints, KINDS),
            ("result.log_days", self.result.log_days, KINDS),
        ):
            if missing := [name for name in wanted if name not in got]:
                raise ValueError(f"{stage} lacks {', '.join(missing)}")
        for stage, effects, allowed in (("onset", self.onset.effects, CAUSES), ("result", self.result.effects, KINDS)):
            pairs = [(effect.term, cause) for effect in effects for cause in set(effect.on)]
            if twice := sorted({term for term, cause in pairs if pairs.count((term, cause)) > 1}):
                raise ValueError(f"{stage}.effects names {', '.join(twice)} twice")
            for effect in effects:
                if len(effect.factors) > 2:
                    raise ValueError(f"{stage}.effects: {effect.term} joins more than two indicators")
                if effect.varies_by_group and stage == "result":
                    raise ValueError(f"{stage}.effects: {effect.term} varies by group, which only onset effects do")
                if not effect.on or len(set(effect.on)) < len(effect.on) or not set(effect.on) <= set(allowed):
                    raise ValueError(f"{stage}.effects: {effect.term} is on each of {', '.join(allowed)} at most once")
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that shapes the posterior; titles and claims do not."""
        return digest(self.model_dump(include={"frames", "onset", "result", "sampling"}))

    @property
    def indicators(self) -> tuple[str, ...]:
        """Every indicator that a term of either stage uses, in the order of first use."""
        effects = (*self.onset.effects, *self.result.effects)
        return tuple(dict.fromkeys(factor for effect in effects for factor in effect.factors))

    def with_sampling(self, sampling: Sampling) -> Spec:
        """Return this spec, sampled under other settings."""
        return self.model_copy(update={"sampling": sampling})

    def check_terms(self, known: Mapping[str, Any]) -> None:
        """Raise SpecError unless every indicator used is in the codebook."""
        if unknown := [name for name in self.indicators if name not in known]:
            raise SpecError(f"spec {self.name}: {', '.join(unknown)} not in the codebook; known are {', '.join(known)}")

    def varied(self, name: str) -> Spec:
        """Return this spec under one of its named variations."""
        if name not in self.variations:
            known = ", ".join(self.variations) or "none"
            raise SpecError(f"spec {self.name} has no variation {name!r}; it has: {known}")
        return self.changed(self.variations[name], name=f"{self.name}+{name}")

    def changed(self, changes: Mapping[str, Any], name: str | None = None) -> Spec:
        """Return this spec with values replaced at dotted places, such as ``onset.group_sd``."""
        content = self.model_dump()
        for place, value in changes.items():
            _replace(content, place.split("."), value, self.name)
        return _validated({**content, "name": name or self.name}, self.name)


def _replace(content: dict[str, Any], place: list[str], value: Any, spec: str) -> None:
    *path, last = place
    for key in path:
        content = content.get(key, {}) if isinstance(content, dict) else {}
    if not isinstance(content, dict) or last not in content:
        raise SpecError(f"spec {spec} has no place {'.'.join(place)} to change")
    content[last] = value


def _validated(content: dict[str, Any], source: str) -> Spec:
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        lines = [f"{place}: {message}" for place, _, message, _ in faults(error)]
        raise SpecError("\n".join([f"{source} is not a valid spec", *lines])) from None


def read_parts[T](path: Path, form: type[T], what: str) -> T:
    """Return what a TOML file beside the specs holds, such as scenarios or patches.

    Raises
    ------
    SpecError
        When the file is missing, is not TOML, or asks for something unknown.
    """
    try:
        return TypeAdapter(form).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise SpecError(f"there is no file of {what}: {path}") from None
    except ValidationError as error:
        lines = [f"{place}: {message}" for place, _, message, _ in faults(error)]
        raise SpecError("\n".join([f"{path.name} does not hold {what}", *lines])) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name} is not TOML: {error}") from None


def load_spec(path: Path | str, variation: str | None = None, *, known_to: date = date.max) -> Spec:
    """Read a model spec, or one of its variations.

    Parameters
    ----------
    path : Path or str
    variation : str, optional
        One of those that the file names.
    known_to : date
        Day whose knowledge may inform the priors: a reference prior that learnt from later events is left out.

    Raises
    ------
    SpecError
        When the file is missing, not TOML, or asks for something unknown.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.toml"))) or "none"
        raise SpecError(f"there is no spec {path.name} in {path.parent}; it has: {known}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name} is not TOML: {error}") from None
    spec = _validated(content, path.name)
    spec = spec.varied(variation) if variation else spec
    if spec.reference is None or not spec.reference.discount:
        return spec
    reference = read_reference(path.parent / spec.reference.file)
    return inform(spec, reference, spec.reference.discount) if reference.provenance.known_to <= known_to else spec


def read_reference(path: Path) -> ReferencePrior:
    """Return a reference prior.

    Raises
    ------
    SpecError
        When the file is missing or is none.
    """
    try:
        return ReferencePrior.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError:
        raise SpecError(f"there is no reference prior {path}; remove [reference] from the spec, or build it") from None
    except ValidationError as error:
        lines = [f"{place}: {message}" for place, _, message, _ in faults(error)]
        raise SpecError("\n".join([f"{path.name} is not a reference prior", *lines])) from None


def inform(spec: Spec, reference: ReferencePrior, discount: float) -> Spec:
    """Return a spec whose baselines and onset effects know what the reference prior knows of them."""
    baseline = {
        cause: reference.baseline[cause].inform(prior, discount) if cause in reference.baseline else prior
        for cause, prior in spec.onset.baseline.items()
    }
    effects = tuple(
        _inform_effect(effect, cause, reference, discount) for effect in spec.onset.effects for cause in effect.on
    )
    onset = spec.onset.model_copy(update={"baseline": baseline, "effects": effects})
    return _validated(spec.model_copy(update={"onset": onset}).model_dump(), spec.name)


def _inform_effect(effect: Effect, cause: Cause, reference: ReferencePrior, discount: float) -> Effect:
    alone = effect.model_copy(update={"on": (cause,)})
    lesson = reference.effects.get(f"{effect.term} on {cause}")
    if lesson is None:
        return alone
    prior = lesson.inform(Normal(mean=effect.mean, sd=effect.sd), discount)
    return alone.model_copy(update={"mean": prior.mean, "sd": prior.sd})
