"""Reports: one set of numbers in three forms, inert whatever stands in the tables, and whole without a network."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from forecast import drawing, exports
from forecast.errors import UsageError
from forecast.overview import make_overview
from forecast.pages import templates
from forecast.prediction import answer, ask, look_ahead, predict, summarise
from forecast.report import (
    LIMITS,
    Past,
    all_numbers,
    figures,
    in_words,
    is_current,
    make_report,
    read_twin,
    reading_history,
    report_key,
    report_path,
    save_report,
    write_report,
)
from forecast.schema import OUTCOMES

CHROMIUM = Path("/usr/bin/chromium")


class Page(HTMLParser):
    """Every element, attribute and piece of text of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.texts, self.cells = [], [], [], []
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in ("td", "th"):
            self.cells.append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        self.texts.append(data)
        if self.inside:
            self.cells[-1] += data

    @property
    def text(self):
        return " ".join(self.texts)


def tables_of(text):
    """Return the rows of every table of a Markdown text, as a Markdown reader sees them."""
    tables, row, inside = [], None, False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            tables[-1].append(row)
        elif token.type in ("th_open", "td_open"):
            inside = True
        elif token.type in ("th_close", "td_close"):
            inside = False
        elif token.type == "inline" and inside:
            row.append("".join(child.content for child in token.children))
    return tables


@pytest.fixture(scope="module")
def made(tiny_fit, tiny_data, tiny_forecast):
    return make_report(tiny_fit, tiny_data, tiny_forecast)


def percent(value):
    return f"{100 * value:.1f}%"


# --- one set of numbers


def test_the_numbers_are_those_of_the_forecast(made, tiny_forecast):
    table = summarise(tiny_forecast)
    assert [item["outcome"] for item in made.content["outcomes"]] == list(OUTCOMES)
    for item in made.content["outcomes"]:
        for name, value in table.loc[item["outcome"]].items():
            assert item[name] == value
    draws = tiny_forecast.probability.isel(month=-1).to_numpy().reshape(-1, 5)
    for place, item in enumerate(made.content["outcomes"]):
        assert item["probability"] == pytest.approx(draws[:, place].mean(), abs=1e-12)
        assert item["p05"] == pytest.approx(np.quantile(draws[:, place], 0.05), abs=1e-12)
    assert sum(item["probability"] for item in made.content["outcomes"]) == pytest.approx(1.0, abs=1e-9)
    assert [line["month"] for line in made.content["incidence"]] == [1, 2, 3, 4, 5, 6]
    for outcome in OUTCOMES:
        assert made.content["incidence"][-1][outcome]["probability"] == table.loc[outcome, "probability"]


def test_page_text_and_twin_agree(made, tmp_path):
    save_report(made, tmp_path / "KGZ.html")
    twin = json.loads((tmp_path / "KGZ.json").read_text(encoding="utf-8"))
    page = Page((tmp_path / "KGZ.html").read_text(encoding="utf-8"))
    tables = tables_of((tmp_path / "KGZ.md").read_text(encoding="utf-8"))
    assert twin == made.content
    for item, row in zip(twin["outcomes"], tables[0][1:], strict=True):
        expected = [
            item["label"], percent(item["probability"]), f"{percent(item['p25'])} to {percent(item['p75'])}",
            f"{percent(item['p05'])} to {percent(item['p95'])}", item["words"],
        ]  # fmt: skip
        assert row == [*expected, str(item["of_hundred"])]
        at = page.cells.index(item["label"])
        assert [cell.strip() for cell in page.cells[at : at + 5]] == expected
    by_head = {tuple(table[0][:2]): table[1:] for table in tables}
    for item, row in zip(twin["base_rates"], by_head["Reference class", "Coups"], strict=True):
        expected = [item["reference class"], str(item["coups"]), str(item["revolutions"]), f"{item['leader-years']:.2f}"]  # fmt: skip
        assert row[:4] == expected
        at = page.cells.index(item["reference class"])
        assert page.cells[at : at + 4] == expected
    for item, row in zip(twin["drivers"], by_head["Indicator", "Latest"], strict=True):
        assert row == [item["label"], f"{item['value']:.2f}", f"{item['average']:.2f}", percent(item["coup"]), percent(item["revolution"])]  # fmt: skip
        assert item["label"] in page.cells
    assert [row[0] for row in by_head["Challenge", "Kind"]] == [item["name"] for item in twin["challenges"]]
    for item, row in zip(twin["claims"], by_head["Claim", "Statement"], strict=True):
        assert row[0] == item["id"]
        assert row[-1] == item["verdict"]
        assert row[-1] in page.cells
    numbers = dict(line.rsplit(",", 1) for line in (tmp_path / "KGZ.csv").read_text(encoding="utf-8").splitlines()[1:])
    for item in twin["outcomes"]:
        for name in ("probability", "p05", "p95"):
            assert float(numbers[f"outcomes[{item['outcome']}].{name}"]) == item[name]
    shown = "".join(figures(twin)["outcomes"])
    assert all(drawing.percent(item["probability"]).replace("<", "&lt;") in shown for item in twin["outcomes"])


def test_the_twin_keeps_to_its_published_schema(made, repository):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads((repository / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(made.content, schema)


def test_the_csv_has_every_number_once(made):
    places = [line.rsplit(",", 1)[0] for line in all_numbers(made.content).splitlines()[1:]]
    assert len(places) == len(set(places)) > 500


def test_a_hundred_futures_are_a_hundred(made):
    assert sum(item["of_hundred"] for item in made.content["outcomes"]) == 100
    assert all(abs(item["of_hundred"] - 100 * item["probability"]) < 1 for item in made.content["outcomes"])


def test_the_change_is_the_difference_to_the_last_issue(tiny_fit, tiny_data, tiny_forecast):
    lines = {name: {"probability": 0.2, "p05": 0.1, "p25": 0.15, "p75": 0.25, "p95": 0.3} for name in OUTCOMES}
    about = {"issued_on": "2024-01-01", "as_of": "2023-12-31", "horizon_end": "2024-06-30", "spec": "default"}
    issue = {**about, "leader": tiny_forecast.question.leader, "outcomes": lines}
    report = make_report(tiny_fit, tiny_data, tiny_forecast, None, Past([issue]))
    assert len(report.content["history"]) == 2
    for item in report.content["change"]["outcomes"]:
        assert item["difference"] == item["now"] - 0.2
    assert "Since 2023-12-31" in report.page
    page, twin = make_overview({"KGZ": report.content})
    assert json.loads(twin)["leaders"][0]["changes"]["coup"] == report.content["change"]["outcomes"][0]["difference"]
    assert Page(page).elements.count("tr") == 10
    other = make_report(tiny_fit, tiny_data, tiny_forecast, None, Past([{**issue, "leader": "Another"}]))
    assert other.content["change"] is None


def test_an_outcome_that_nobody_can_have_is_shown(made):
    """With a challenge under way everywhere, nobody survives unchallenged."""
    none = dict.fromkeys(("probability", "p05", "p25", "p75", "p95"), 0.0)
    outcomes = [{**item, **none} if item["outcome"] == "survives_unchallenged" else item for item in made.content["outcomes"]]  # fmt: skip
    page, _ = make_overview({"KGZ": {**made.content, "outcomes": outcomes}})
    assert "0.0% to 0.0%" in page


def test_the_change_is_split_by_cause(tiny_fit, tiny_data, tiny_forecast, repository):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    end = tiny_forecast.probability.isel(month=-1).mean(("chain", "draw"))
    now = {name: float(end.sel(outcome=name)) for name in OUTCOMES}
    lines = {name: dict.fromkeys(("probability", "p05", "p25", "p75", "p95"), 0.2) for name in OUTCOMES}
    parts = {"elite_division": {name: (now[name] - 0.2) * 0.9 for name in OUTCOMES}, "Monte Carlo noise": {name: (now[name] - 0.2) * 0.1 for name in OUTCOMES}}  # fmt: skip
    about = {"issued_on": "2024-01-01", "as_of": "2023-12-31", "horizon_end": "2024-06-30", "spec": "default"}
    issue = {**about, "leader": tiny_forecast.question.leader, "outcomes": lines, "causes": parts}
    record = {"issued": 3, "scored": 1, "next_due": None, "models": [{"model": "default", "answers": 1, "log_score": 0.5, "log_score_skill": 0.1, "brier_score": 0.2, "brier_score_skill": None}]}  # fmt: skip
    report = make_report(tiny_fit, tiny_data, tiny_forecast, None, Past([issue], record))
    schema = json.loads((repository / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(report.content, schema)
    change = report.content["change"]
    assert [part["cause"] for part in change["causes"]] == ["new readings: Elite division", "Monte Carlo noise"]
    for item in change["outcomes"]:
        assert sum(part[item["outcome"]] for part in change["causes"]) == pytest.approx(item["difference"])
        assert item["mainly"].startswith("new readings: Elite division (")
    assert f"mainly {change['outcomes'][0]['mainly']}" in Page(report.page).text
    tiny = dict.fromkeys(OUTCOMES, 0.0002)
    many = {**parts, "sanctions": tiny, "repression": tiny}
    folded = make_report(tiny_fit, tiny_data, tiny_forecast, None, Past([{**issue, "causes": many}])).content["change"]
    assert [part["cause"] for part in folded["causes"]] == ["new readings: Elite division", "2 smaller parts", "Monte Carlo noise"]  # fmt: skip
    assert folded["causes"][1]["coup"] == pytest.approx(0.0004)
    assert "| new readings: Elite division |" in report.text
    assert Page(report.page).cells.count("New readings: Elite division") == 1
    assert "Scored against what happened: 1." in report.page


def test_nothing_in_the_twin_is_not_a_number(made):
    text = json.dumps(made.content, allow_nan=False)
    assert len(text) > 5000


def test_claims_without_an_interval_have_none(made):
    counted = next(item for item in made.content["claims"] if item["id"] == "C4")
    assert (counted["low"], counted["high"], counted["support"]) == (None, None, None)
    assert "None" not in made.text
    assert "None" not in Page(made.page).text
    assert "nan" not in made.text.lower().split()


def test_readings_are_the_last_of_each_coder(made, tiny_data):
    own = tiny_data.indicators[tiny_data.indicators["country"] == "KGZ"]
    assert len(made.content["readings"]) == len(own.groupby(["indicator", "coder"]))
    for item in made.content["readings"]:
        same = own[(own["indicator"] == item["indicator"]) & (own["coder"] == item["coder"])]
        last = same.loc[same["observed_on"].idxmax()]
        assert (item["value"], item["low"], item["high"]) == (last["value"], last["low"], last["high"])
        assert item["observed_on"] == str(last["observed_on"].date())


def test_limits_rules_and_provenance_are_on_the_page(made, tiny_fit):
    for text in (made.text, Page(made.page).text):
        for limit in LIMITS:
            assert limit in text
        for item in made.content["outcomes"]:
            assert item["rule"] in text
        for part in (tiny_fit.provenance["data_digest"], tiny_fit.spec.digest, "pymc", str(tiny_fit.spec.sampling.seed)):  # fmt: skip
            assert part in text


def test_the_same_inputs_give_the_same_bytes(made, tiny_fit, tiny_data, tiny_forecast):
    again = make_report(tiny_fit, tiny_data, tiny_forecast)
    assert (again.page, again.text, again.content) == (made.page, made.text, made.content)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.0174, 0.001, 0.061), "about 2 in 100 (90% interval: under 1 to 6)"),
        ((0.0049, 0.0, 0.0051), "under 1 in 100 (90% interval: under 1 to 1)"),
        ((0.996, 0.9, 1.0), "over 99 in 100 (90% interval: 90 to over 99)"),
        ((0.5, 0.25, 0.994), "about 50 in 100 (90% interval: 25 to 99)"),
    ],
)
def test_probabilities_in_words(numbers, words):
    assert in_words(*numbers) == words


# --- whole without a network


def test_the_page_asks_for_nothing_from_outside(made):
    page = Page(made.page)
    policy = [dict((n, v) for t, n, v in page.attributes if t == "meta")]
    assert policy
    assert ("meta", "http-equiv", "Content-Security-Policy") in page.attributes
    content = next(v for t, n, v in page.attributes if t == "meta" and n == "content" and "default-src" in v)
    rules = dict(rule.strip().split(" ", 1) for rule in content.split(";"))
    assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    assert {rules[name] for name in ("default-src", "base-uri", "form-action")} == {"'none'"}
    assert rules["style-src"].startswith("'sha256-")
    assert rules["script-src"].startswith("'sha256-")
    assert len(made.page.encode()) < 2_000_000
    # The policy stands before anything that could ask.
    assert made.page.index("Content-Security-Policy") < min(made.page.index("<style"), made.page.index("<svg"))
    assert not {"link", "iframe", "img", "object", "embed", "base", "form", "image"} & set(page.elements)
    assert page.elements.count("script") == 2
    for _, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            assert value.startswith("#")
        assert not name.startswith("on")
        assert name != "style"
    assert "@import" not in made.page
    assert set(re.findall(r"url\(([^)]{1})", made.page)) <= {"#"}


def test_the_page_has_language_title_and_alternatives_for_figures(made):
    page = Page(made.page)
    assert ("html", "lang", "en") in page.attributes
    assert page.elements.count("h1") == 1
    # Every picture has a title, or is marked as one that the numbers beside it replace.
    roles = [name for tag, name, value in page.attributes if tag == "svg" and name in ("role", "aria-hidden")]
    assert len(roles) == page.elements.count("svg")
    assert page.elements.count("title") == 1 + roles.count("role")
    assert page.elements.count("table") >= page.elements.count("figure") - 1
    assert page.elements.count("details") == made.page.count("The same as")


# --- whatever stands in the tables is text

NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'; DROP TABLE leaders; --",
    "a | b \\| c",
    "[click](javascript:alert(3))",
    "![x](https://example.org/x.png)",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; & <b>",
    "$\\frac{$",
    "<https://example.org> `code` *strong* ~x~",
)


@pytest.fixture(scope="module")
def hostile(tiny_fit, tiny_data):
    """A report on data in which every free text is an attack."""
    everything = " ".join(NASTY)
    country, leaders = tiny_data.countries.copy(), tiny_data.leaders.copy()
    country["name"], country["note"] = f"Land {everything}", everything
    leaders["leader"], leaders["note"], leaders["sources"] = f"Ruler {everything}", everything, everything
    events = tiny_data.events.copy()
    places = events.groupby("country").cumcount()
    events["name"] = [f"Challenge {NASTY[place % len(NASTY)]}" for place in places]
    events["note"] = events["sources"] = everything
    indicators = tiny_data.indicators.copy()
    indicators["note"], indicators["sources"] = everything, everything
    indicators["basis"] = "<i>judgement</i>"
    book = tiny_data.codebook.indicators
    nasty_book = {name: entry.model_copy(update={"label": f"L {text}"}) for (name, entry), text in zip(book.items(), NASTY * 2, strict=False)}  # fmt: skip
    codebook = tiny_data.codebook.model_copy(update={"indicators": nasty_book})
    data = replace(tiny_data, countries=country, leaders=leaders, events=events, indicators=indicators, codebook=codebook)  # fmt: skip
    claims = tuple(claim.model_copy(update={"statement": f"{claim.statement} {NASTY[place % len(NASTY)]}"}) for place, claim in enumerate(tiny_fit.spec.claims))  # fmt: skip
    spec = tiny_fit.spec.model_copy(update={"claims": claims, "name": "<script>x</script>|"})
    facts = {**tiny_fit.provenance, "data_digest": data.digest, "spec": spec.name}
    fit = replace(tiny_fit, provenance=facts, spec=spec)
    question = ask(data, "KGZ", 3)
    return make_report(fit, data, answer(fit, look_ahead(fit, data, question), question)), question


def test_hostile_text_is_inert_on_the_page(hostile, made):
    report, question = hostile
    page, plain = Page(report.page), Page(made.page)
    assert set(page.elements) == set(plain.elements)
    assert all(not name.startswith("on") for _, name, _ in page.attributes)
    assert all(value.startswith("#") for _, name, value in page.attributes if name in ("src", "href", "xlink:href"))
    assert page.elements.count("script") == 2
    overview = Page(make_overview({"KGZ": report.content})[0])
    assert overview.elements.count("script") == 1
    assert all(not name.startswith("on") for _, name, _ in overview.attributes)
    for text in NASTY:  # nothing is lost: it is shown as it was typed, also in the figures
        assert page.texts.count(f"L {text}") >= 2
    assert len(report.content["challenges"]) == 8
    assert {item["name"] for item in report.content["challenges"]} < set(page.cells)
    assert question.leader in page.text


def test_hostile_text_is_inert_in_markdown(hostile, made):
    report, _ = hostile
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(report.text)
    inline = [child for token in tokens for child in (token.children or [])]
    kinds = {token.type for token in tokens} | {child.type for child in inline}
    assert not {"html_block", "html_inline", "link_open", "image", "fence"} & kinds
    shapes = [{len(row) for row in table} for table in tables_of(report.text)]
    expected = [{len(row) for row in table} for table in tables_of(made.text)]
    assert shapes == expected
    names = [row[0] for table in tables_of(report.text) if table[0][0] == "Challenge" for row in table[1:]]
    assert "Challenge <script>alert(1)</script>" in names
    assert "Challenge a | b \\| c" in names


def test_hostile_text_comes_back_from_the_twin(hostile, tmp_path):
    report, question = hostile
    save_report(report, tmp_path / "KGZ.html")
    twin = read_twin(tmp_path / "KGZ.html")
    assert twin["question"]["leader"] == question.leader
    assert NASTY[0] in twin["question"]["leader"]


def test_a_missing_value_in_a_template_is_an_error(tmp_path):
    import jinja2

    (tmp_path / "mine.html.j2").write_text("{{ absent }}", encoding="utf-8")
    with pytest.raises(jinja2.UndefinedError):
        templates(tmp_path).get_template("mine.html.j2").render()


def test_templates_in_a_folder_take_precedence(tiny_fit, tiny_data, tiny_forecast, made, tmp_path):
    (tmp_path / "report.html.j2").write_text("<p>{{ question.leader }}: {{ outcomes[0].probability|percent }}", encoding="utf-8")  # fmt: skip
    report = write_report(tiny_fit, tiny_data, tiny_forecast, tmp_path / "out" / "KGZ.html", tmp_path)
    assert report.page == f"<p>Sadyr Japarov: {percent(made.content['outcomes'][0]['probability'])}"
    assert (tmp_path / "out" / "KGZ.html").read_text(encoding="utf-8") == report.page
    assert report.text == made.text  # the other template is the package's own


# --- current or stale


def test_a_report_is_current_until_something_it_is_made_from_changes(tiny_fit, made, tiny_forecast, tmp_path):
    question = tiny_forecast.question
    path = report_path(tmp_path, question)
    assert path == tmp_path / "2024-12-31" / "KGZ.html"
    assert not is_current(tiny_fit, question, path)
    save_report(made, path)
    assert is_current(tiny_fit, question, path)
    facts = tiny_fit.provenance
    for change in (
        {"data_digest": "0" * 64},
        {"spec_digest": "0" * 64},
        {"versions": {**facts["versions"], "regime-forecast": "9.9.9"}},
    ):
        assert not is_current(replace(tiny_fit, provenance={**facts, **change}), question, path)
    fewer = tiny_fit.spec.model_copy(update={"claims": tiny_fit.spec.claims[1:]})
    assert not is_current(replace(tiny_fit, spec=fewer), question, path)
    for change in ({"horizon": 7}, {"settings": {"sanctions": 0.5}}, {"paths": "hold"}, {"leader": "Another"}):
        assert not is_current(tiny_fit, replace(question, **change), path)
    assert len({report_key(tiny_fit, replace(question, horizon=horizon)) for horizon in (1, 2, 3)}) == 3


@pytest.mark.parametrize("suffix", [".html", ".md", ".csv", ".json"])
def test_a_report_of_which_a_part_is_gone_is_stale(tiny_fit, made, tiny_forecast, tmp_path, suffix):
    path = report_path(tmp_path, tiny_forecast.question)
    save_report(made, path)
    path.with_suffix(suffix).unlink()
    assert not is_current(tiny_fit, tiny_forecast.question, path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}'])
def test_a_report_with_a_damaged_twin_is_stale(tiny_fit, made, tiny_forecast, tmp_path, content):
    path = report_path(tmp_path, tiny_forecast.question)
    save_report(made, path)
    path.with_suffix(".json").write_text(content, encoding="utf-8")
    assert not is_current(tiny_fit, tiny_forecast.question, path)


def test_scenarios_have_pages_of_their_own(tiny_data, tmp_path):
    pages = {report_path(tmp_path, ask(tiny_data, "KGZ", 6, settings)).name for settings in ({}, {"sanctions": 0.5}, {"sanctions": 0.6})}  # fmt: skip
    assert len(pages) == 3
    assert "KGZ.html" in pages


# --- figures


def test_figures_are_files_with_words_for_them(made, tmp_path):
    pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    paths = exports.save_figures(made.content, tmp_path)
    assert {path.stem for path in paths} == set(figures(made.content)) == set(exports.ALT)
    for path in paths:
        raw = path.read_bytes()
        assert raw.startswith(b"<svg" if path.suffix == ".svg" else b"\x89PNG")
        assert b"var(--" not in raw
    assert (tmp_path / "README.md").read_text(encoding="utf-8").count("Sadyr Japarov") == len(exports.ALT)


def test_a_pdf_without_chromium_is_a_clear_error(monkeypatch, tmp_path):
    monkeypatch.setattr(exports, "BROWSERS", ("no-such-browser",))
    with pytest.raises(UsageError, match="install one"):
        exports.save_pdf(tmp_path / "page.html")


def test_a_country_without_readings_has_no_figure_of_them(made, tiny_data):
    empty = replace(tiny_data, indicators=tiny_data.indicators.iloc[:0])
    assert reading_history(empty, "KGZ", "2010-01-01", "2024-12-31") == []
    assert "readings" not in figures({**made.content, "reading_history": []})


def test_figures_show_every_indicator_by_name(made, tiny_data):
    drawn = "".join(figures(made.content)["readings"])
    for name in tiny_data.indicators.query("country == 'KGZ'")["indicator"].unique():
        assert tiny_data.codebook.indicators[name].label in drawn


def test_a_history_begins_with_what_was_in_force(tiny_data):
    history = {
        item["indicator"]: item["coders"] for item in reading_history(tiny_data, "KGZ", "2010-01-01", "2015-06-30")
    }
    for (name, coder), lines in tiny_data.indicators.query("country == 'KGZ'").groupby(["indicator", "coder"]):
        ordered = lines.sort_values("observed_on")
        inside = ordered[(ordered["observed_on"] > "2010-01-01") & (ordered["observed_on"] <= "2015-06-30")]
        before = ordered[ordered["observed_on"] <= "2010-01-01"].tail(1)
        points = next((item["points"] for item in history.get(name, []) if item["coder"] == coder), [])
        assert [point[1] for point in points] == [*before["value"], *inside["value"]]
        assert not points or points[0][0] == (
            "2010-01-01" if len(before) else str(inside["observed_on"].iloc[0].date())
        )


# --- in a browser


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists():
        pytest.skip("there is no /usr/bin/chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield chromium
        chromium.close()


def visit(browser, address, width=390, **more):
    """Return a page that was opened, what it complained of, and what it asked for."""
    complaints, requests = [], []
    page = browser.new_page(viewport={"width": width, "height": 800}, **more)
    page.set_default_timeout(120_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address, wait_until="load")
    return page, complaints, requests


@pytest.fixture(scope="module")
def saved(hostile, made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    save_report(made, folder / "plain.html")
    save_report(hostile[0], folder / "hostile.html")
    (folder / "index.html").write_text(make_overview({"KGZ": made.content})[0], encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["plain", "hostile", "index"])
def test_a_browser_shows_the_page_without_errors_or_requests(browser, saved, name):
    address = (saved / f"{name}.html").as_uri()
    page, complaints, requests = visit(browser, address)
    assert complaints == []
    assert requests == [address]
    assert page.locator("h1").inner_text().startswith("Who " if name == "index" else "Will ")
    # A telephone shows the page without scrolling sideways; wide tables scroll by themselves.
    if name != "hostile":
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["plain", "index"])
def test_axe_finds_nothing_serious(browser, saved, name, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page, _, _ = visit(browser, (saved / f"{name}.html").as_uri(), color_scheme=scheme)
    page.evaluate("for (const item of document.querySelectorAll('details')) item.open = true")
    page.evaluate(source)
    found = page.evaluate("axe.run().then((found) => found.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html.slice(0, 200))]))")  # fmt: skip
    assert [item for item in found if item[0] in ("serious", "critical")] == []
    page.close()


def test_the_explorer_answers_as_predict_does(browser, saved, tiny_fit, tiny_data):
    """At random settings every probability and interval agrees to three decimals."""
    page, complaints, _ = visit(browser, (saved / "plain.html").as_uri())
    sliders, rng = page.evaluate("forecastExplorer.settable"), np.random.default_rng(7)
    for count in (0, 1, 3, len(sliders)):
        chosen = [sliders[place] for place in rng.permutation(len(sliders))[:count]]
        settings = {item["name"]: round(float(rng.uniform(item["least"], item["most"])), 2) for item in chosen}
        got = page.evaluate("(settings) => forecastExplorer.predict(settings)", settings)
        wanted = summarise(predict(tiny_fit, tiny_data, "KGZ", 6, settings))
        for outcome, line in wanted.iterrows():
            for name, value in line.items():
                assert got[outcome][name] == pytest.approx(value, abs=5e-5)
    assert complaints == []
    page.close()


def test_sliders_links_and_reset_move_the_numbers(browser, saved):
    page, complaints, requests = visit(browser, (saved / "plain.html").as_uri() + "#set:mobilisation_capacity=0.9&nonsense=1&elite_division=7")  # fmt: skip
    cell = page.locator("tr[data-outcome=revolution] td").first
    moved = cell.inner_text()
    assert page.locator("#explorer-command").inner_text().endswith("--set mobilisation_capacity=0.9")
    page.locator("#explorer-reset").click()
    reset = cell.inner_text()
    assert moved != reset
    page.locator("#set-mobilisation_capacity").focus()
    page.keyboard.press("End")  # by the keyboard alone
    page.wait_for_function("document.getElementById('value-mobilisation_capacity').textContent === '1.00'")  # fmt: skip
    assert cell.inner_text() != reset
    assert "set:mobilisation_capacity=1" in page.url
    assert complaints == []
    assert len(requests) == 1
    page.close()


def test_without_scripts_the_pictures_and_tables_are_there(browser, saved):
    page, _, _ = visit(browser, (saved / "plain.html").as_uri(), java_script_enabled=False)
    assert page.locator("figure svg").first.is_visible()
    assert page.locator("#explorer").is_hidden()
    assert page.locator("noscript").count() == 1
    page.close()
