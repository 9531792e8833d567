"""A spec is refused when it says anything that would not be done, and named by what shapes the posterior."""

import importlib.util
import re
import tomllib
from datetime import date
from itertools import pairwise

import pandas as pd
import pytest

from forecast.errors import SpecError
from forecast.schema import read_codebook
from forecast.spec import Spec, load_spec


@pytest.fixture
def spec(tiny_tables):
    return load_spec(tiny_tables.models / "default.toml")


@pytest.fixture
def edited(tiny_tables):
    """Return a function that loads the invented study's default spec after one edit of its text."""
    path = tiny_tables.models / "default.toml"

    def edit(old, new):
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return load_spec(path)

    return edit


@pytest.mark.parametrize("name", ["default", "baseline"])
def test_the_specs_of_the_repository_are_valid(repository, name):
    path = repository / "models" / f"{name}.toml"
    spec = load_spec(path)
    assert spec.name == name
    spec.check_terms(read_codebook(repository / "data" / "codebook.toml").indicators)
    for variation in spec.variations:
        assert load_spec(path, variation).digest != spec.digest


def test_every_claim_of_the_repository_is_about_effects_in_the_spec(repository):
    spec = load_spec(repository / "models" / "default.toml")
    stages = {"effect": spec.onset.effects, "result": spec.result.effects}
    for claim in spec.claims:
        if claim.kind in stages:
            there = {(effect.term, cause) for effect in stages[claim.kind] for cause in effect.on}
            assert {(term, cause) for term in claim.terms for cause in claim.on} <= there, claim.id


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("group_sd", "group_ds", "onset.group_ds", id="unknown-key"),
        pytest.param(
            "varies_by_group = true", "varies = true", "onset.effects.0.varies", id="unknown-key-of-an-effect"
        ),
        pytest.param("[onset]", "[onsett]\n[onset]", "onsett", id="unknown-section"),
        pytest.param('title = "War', '# title = "War', "title: Field required", id="no-title"),
        pytest.param('"coup", "uprising"]', '"coup", "riot"]', "onset.effects.0.on.1", id="unknown-cause"),
        pytest.param('["coup", "uprising"]', "[]", "war_balance is on each of", id="effect-on-nothing"),
        pytest.param('["coup", "uprising"]', '["coup", "coup"]', "war_balance is on each of", id="cause-twice"),
        pytest.param(
            "coup = { mean = -3.9, sd = 1.0 }\n", "", "onset.baseline lacks coup", id="no-baseline-of-a-cause"
        ),
        pytest.param("coup = { mean = 0.7, sd = 1.0 }\n", "", "result.log_days lacks coup", id="no-length-of-a-kind"),
        pytest.param("[result.cutpoints.coup]", "[result.cutpoints.riot]", "result.cutpoints.riot", id="unknown-kind"),
        pytest.param("sd = 1.0", "sd = 0.0", "greater than 0", id="sd-zero"),
        pytest.param("sd = 1.0", "sd = -1.0", "greater than 0", id="sd-negative"),
        pytest.param("sd = 1.0", "sd = inf", "finite", id="sd-infinite"),
        pytest.param("mean = -3.9", "mean = nan", "finite", id="mean-nan"),
        pytest.param("mean = -3.9", 'mean = "low"', "valid number", id="mean-in-words"),
        pytest.param("period_years = 10", "period_years = 0", "greater than 0", id="period-of-no-years"),
        pytest.param('"elite_division"', '"war_balance"', "onset.effects names war_balance twice", id="term-twice"),
        pytest.param('"war_balance:elite_division"', '"a:b:c"', "joins more than two", id="three-factors"),
        pytest.param("[result]", "[sampling]\nchains = 1\n[result]", "greater than or equal to 2", id="one-chain"),
        pytest.param('kind = "effect"', 'kind = "affect"', "claims.0.kind", id="unknown-kind-of-claim"),
        pytest.param("[onset]", "[onset", "is not TOML", id="broken-toml"),
        pytest.param("sd = 1.0", "sd = 1,0", "is not TOML", id="decimal-comma"),
        pytest.param("[variations.sceptical]", "variations = 3\n[x]", "x: Extra inputs", id="section-lost"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_place(edited, old, new, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        edited(old, new)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('on = ["other_exit"]', "result.effects: tenure is on each of coup, uprising at most once"),
        ('on = ["coup"]\nvaries_by_group = true', "result.effects: tenure varies by group"),
    ],
)
def test_a_result_effect_says_only_what_the_result_stage_does(edited, line, message):
    with pytest.raises(SpecError, match=message):
        edited("[variations.sceptical]", f'[[result.effects]]\nterm = "tenure"\n{line}\n[variations.sceptical]')


def test_every_fault_is_reported_at_once(edited):
    with pytest.raises(SpecError) as caught:
        edited("group_sd = 0.5\ncountry_sd = 0.4", "group_sd = -1\ncountry_ds = 0.4")
    assert "onset.group_sd" in str(caught.value)
    assert "onset.country_ds" in str(caught.value)


def test_a_missing_spec_is_refused_with_those_there_are(tiny_tables):
    with pytest.raises(SpecError, match=r"no spec defualt\.toml .* it has: baseline, default"):
        load_spec(tiny_tables.models / "defualt.toml")


def test_a_spec_in_another_encoding_is_refused(tiny_tables):
    (tiny_tables.models / "default.toml").write_bytes('name = "défaut"'.encode("latin-1"))
    with pytest.raises(SpecError, match="is not TOML"):
        load_spec(tiny_tables.models / "default.toml")


def test_indicators_are_named_once_in_the_order_of_use(spec):
    assert spec.indicators == ("war_balance", "elite_division", "tenure", "recent_challenge")


@pytest.mark.parametrize("lost", ["war_balance", "tenure"])
def test_a_term_that_the_codebook_does_not_have_is_refused(tiny_tables, spec, lost):
    known = read_codebook(tiny_tables.data / "codebook.toml").indicators
    spec.check_terms(known)
    del known[lost]
    with pytest.raises(SpecError, match=f"{lost} not in the codebook; known are {', '.join(known)}"):
        spec.check_terms(known)


# variations


def test_a_variation_changes_what_it_names_and_nothing_else(spec):
    varied = spec.varied("sceptical")
    assert varied.name == "default+sceptical"
    assert (varied.onset.group_sd, varied.onset.slope_sd) == (0.25, 0.1)
    assert varied == spec.changed({"onset.group_sd": 0.25, "onset.slope_sd": 0.1}, name="default+sceptical")
    assert varied.changed({"onset.group_sd": 0.5, "onset.slope_sd": 0.25}, name="default") == spec
    assert spec.onset.group_sd == 0.5


def test_an_unknown_variation_is_refused_with_those_there_are(spec):
    with pytest.raises(SpecError, match="no variation 'optimistic'; it has: sceptical"):
        spec.varied("optimistic")


@pytest.mark.parametrize(
    "place",
    ["onset.grup_sd", "onset", "onset.group_sd.sd", "onset.effects.0.sd", "onset.baseline.riot", "", "prior.sd"],
)
def test_a_change_at_no_place_is_refused(spec, place):
    with pytest.raises(SpecError):
        spec.changed({place: 0.5})


def test_a_change_is_held_against_the_rules_of_a_spec(spec):
    with pytest.raises(SpecError, match=r"onset\.group_sd\S*: Input should be greater than 0"):
        spec.changed({"onset.group_sd": -0.5})


def test_a_change_reaches_a_prior(spec):
    assert spec.changed({"onset.baseline.coup.mean": -5.0}).onset.baseline["coup"].mean == -5.0
    assert spec.changed({"sampling.draws": 20}).sampling.draws == 20


# digests


def test_the_digest_is_the_same_whenever_it_is_read(tiny_tables, spec):
    again = load_spec(tiny_tables.models / "default.toml")
    assert again.digest == spec.digest
    assert re.fullmatch(r"[0-9a-f]{64}", spec.digest)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('title = "War', 'title = "The war', id="title"),
        pytest.param('name = "default"', 'name = "other"', id="name"),
        pytest.param('statement = "A war', 'statement = "The war', id="claim"),
        pytest.param('expected = "negative"', 'expected = "none"', id="expectation"),
        pytest.param('"onset.slope_sd" = 0.1', '"onset.slope_sd" = 0.2', id="variation"),
        pytest.param("[result]", "[gate]\ness = 100\n[result]", id="gate"),
        pytest.param("# The default", "# A default", id="comment"),
        pytest.param("sd = 0.3", "sd = 0.30", id="way-of-writing"),
        pytest.param("mean = -3.9, sd = 1.0", "sd = 1.0, mean = -3.9", id="order-of-keys"),
    ],
)
def test_what_does_not_shape_the_posterior_leaves_the_digest(spec, edited, old, new):
    assert edited(old, new).digest == spec.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("mean = -3.9", "mean = -4.0", id="baseline"),
        pytest.param("group_sd = 0.5", "group_sd = 0.6", id="group-sd"),
        pytest.param("sd = 0.3", "sd = 0.4", id="effect-sd"),
        pytest.param("period_years = 10", "period_years = 5", id="period"),
        pytest.param("varies_by_group = true\n", "", id="pooling"),
        pytest.param('term = "recent_challenge"\non = ["coup", ', 'term = "recent_challenge"\non = [', id="causes"),
        pytest.param("mean = 0.5, sd = 0.5", "mean = 0.6, sd = 0.5", id="cutpoint"),
        pytest.param("mean = 4.1", "mean = 4.2", id="length"),
        pytest.param("[result]", "[sampling]\nseed = 1\n[result]", id="seed"),
    ],
)
def test_what_shapes_the_posterior_changes_the_digest(spec, edited, old, new):
    assert edited(old, new).digest != spec.digest


def test_specs_of_one_content_have_one_digest(tiny_tables):
    content = tomllib.loads((tiny_tables.models / "default.toml").read_text(encoding="utf-8"))
    turned = {key: content[key] for key in reversed(content)}
    specs = [Spec.model_validate(content), Spec.model_validate(turned), load_spec(tiny_tables.models / "default.toml")]
    for one, other in pairwise(specs):
        assert one.digest == other.digest


def test_a_spec_cannot_be_changed_in_place(spec):
    with pytest.raises(ValueError, match="frozen"):
        spec.onset.group_sd = 1.0


LESSONS = """{"about": "another world", "baseline": {"coup": {"mean": -3.0, "sd": 0.5}}, "effects": {"tenure on coup": {"mean": -0.4, "sd": 0.25}},
"parameters": ["coup", "tenure on coup"], "covariance": [[0.25, 0.0], [0.0, 0.0625]], "provenance": {"known_to": "2010-12-31"}}"""


@pytest.fixture
def informed(tiny_tables, repository):
    """Return the default spec beside a reference prior that it names, at a quarter of its worth."""
    folder = tiny_tables.models
    text = (repository / "models" / "default.toml").read_text(encoding="utf-8")
    (folder / "informed.toml").write_text(text.replace("reference_prior.json", "lessons.json"), encoding="utf-8")
    (folder / "lessons.json").write_text(LESSONS, encoding="utf-8")
    return folder / "informed.toml"


def test_a_reference_prior_informs_what_it_names_and_nothing_else(informed):
    with_it, without = load_spec(informed), load_spec(informed, known_to=date(2010, 12, 30))
    # Precisions 1 and 0.25 / 0.25 = 1: the mean lies half way, and the variance is halved.
    assert with_it.onset.baseline["coup"].mean == pytest.approx((-3.9 - 3.0) / 2)
    assert with_it.onset.baseline["coup"].sd == pytest.approx(0.5**0.5)
    assert with_it.onset.baseline["uprising"] == without.onset.baseline["uprising"]
    effects = {(effect.term, cause): effect for effect in with_it.onset.effects for cause in effect.on}
    assert effects["tenure", "coup"].mean == pytest.approx(-0.4 * 4 / 8)
    assert (effects["tenure", "uprising"].mean, effects["tenure", "uprising"].sd) == (0.0, 0.5)
    assert with_it.indicators == without.indicators
    assert with_it.digest != without.digest


def test_a_reference_prior_is_left_out_by_a_variation_by_one_line_or_by_an_earlier_day(informed):
    text = informed.read_text(encoding="utf-8")
    line = next(line for line in text.split("\n") if line.startswith("reference = "))
    (informed.parent / "plain.toml").write_text(text.replace(line, ""), encoding="utf-8")
    plain = load_spec(informed.parent / "plain.toml")
    assert plain.onset.baseline["coup"].mean == -3.9
    assert load_spec(informed, "no_reference").digest == plain.digest
    assert load_spec(informed, known_to=date(2010, 12, 30)).digest == plain.digest
    assert load_spec(informed, known_to=date(2010, 12, 31)).digest == load_spec(informed).digest != plain.digest


def test_a_variation_may_name_a_reference_prior(informed):
    text = informed.read_text(encoding="utf-8")
    line = next(line for line in text.split("\n") if line.startswith("reference = "))
    text = text.replace(line, "").replace(
        "[variations.no_reference]", f"[variations.world]\n{line}\n\n[variations.no_reference]"
    )
    informed.write_text(text, encoding="utf-8")
    assert load_spec(informed, "world").onset.baseline["coup"].mean == pytest.approx((-3.9 - 3.0) / 2)
    assert load_spec(informed).onset.baseline["coup"].mean == -3.9


def test_a_reference_prior_that_is_missing_or_damaged_is_refused(informed):
    (informed.parent / "lessons.json").write_text(LESSONS.replace('"sd": 0.5', '"sd": -1'), encoding="utf-8")
    with pytest.raises(SpecError, match="greater than 0"):
        load_spec(informed)
    (informed.parent / "lessons.json").unlink()
    with pytest.raises(SpecError, match=r"remove \[reference\]"):
        load_spec(informed)


def test_the_changes_that_are_measured_are_changes_of_the_panels_spec(repository):
    place = importlib.util.spec_from_file_location("terms", repository / "docs" / "terms.py")
    terms = importlib.util.module_from_spec(place)
    place.loader.exec_module(terms)
    spec = load_spec(repository / "models" / "panel.toml")
    changes = terms.list_changes(spec, pd.Series(0.5, terms.UNUSED))
    digests = {name: spec.changed(change).digest for own in changes.values() for name, change in own.items()}
    assert len({spec.digest, *digests.values()}) == len(digests) + 1
    assert {effect.term for effect in spec.onset.effects} <= set(changes["One indicator left out"])
    without = spec.changed(changes["One indicator left out"]["infant_mortality"])
    assert not [one for one in (*without.onset.effects, *without.result.effects) if one.term == "infant_mortality"]
