"use strict";
// Answers "what if" in the browser, as forecast/prediction.py does: same draws, same noise, same formulas.
(() => {
  const carrier = document.getElementById("explorer-data");
  if (!carrier) return;
  const P = JSON.parse(carrier.textContent);
  const unpack = (text, kind) => new kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const floats = (name) => unpack(P[name], Float32Array);
  const N = P.draws, M = P.months, I = P.indicators.length, W = P.walking.length;
  const base = floats("base"), weight = floats("weight"), error = floats("error");
  const resultBase = floats("result_base"), resultWeight = floats("result_weight");
  const daysMean = floats("days_mean"), daysSd = floats("days_sd"), noise = unpack(P.noise, Int16Array);
  const ongoing = P.ongoing.map((c) => ({ place: c.place, news: unpack(c.news, Float32Array), done: unpack(c.done, Float32Array) }));
  const E = P.onset.first.length, R = P.result.first.length;

  // Normal distribution function, by a continued fraction in the tails and a series in the middle.
  const ndtr = (z) => {
    const a = Math.abs(z);
    if (a > 38) return z > 0 ? 1 : 0;
    const density = Math.exp(-a * a / 2) / Math.sqrt(2 * Math.PI);
    if (a < 3) {
      let term = a, sum = a;
      for (let k = 1; k < 60 && term > 1e-17; k++) { term *= a * a / (2 * k + 1); sum += term; }
      return z > 0 ? 0.5 + density * sum : 0.5 - density * sum;
    }
    let fraction = 0;
    for (let k = 40; k > 0; k--) fraction = k / (a + fraction);
    const tail = density / (a + fraction);
    return z > 0 ? 1 - tail : tail;
  };

  // P(a removal has taken effect by the end | its challenge began in month s); no setting changes it.
  let arrived = null;
  const arrivals = () => {
    const ends = [];
    P.years.reduce((sum, y, s) => (ends[s] = sum + y * 365.25), 0);
    const logs = ends.map((end, s) => Math.log(ends[M - 1] - (end - P.years[s] * 365.25 / 2) + 1));
    const out = new Float64Array(N * 2 * M);
    for (let d = 0; d < N; d++) for (let k = 0; k < 2; k++) for (let s = 0; s < M; s++)
      out[(d * 2 + k) * M + s] = ndtr((logs[s] - daysMean[d * 2 + k]) / daysSd[d * 2 + k]);
    return out;
  };

  // The outcome probabilities of every draw at the end of the horizon, under settings {name: value}.
  const flat = (rows) => Float64Array.from(rows.flat());
  const low = Float64Array.from(P.low), high = Float64Array.from(P.high), years = Float64Array.from(P.years);
  const periodOf = Int32Array.from(P.period), walking = Int32Array.from(P.walking), periods = P.periods, unit = 1 / P.steps;
  const [of1, of2, ofT, rf1, rf2, rfT] = [P.onset, P.result].flatMap((w) => [w.first, w.second, w.target].map((list) => Int32Array.from(list)));
  const x = new Float64Array(I), walk = new Float64Array(I), rate = new Float64Array(3), score = new Float64Array(2);
  const took = new Float64Array(2), first = new Float64Array(2), pending = new Float64Array(2);
  const answer = (settings) => {
    arrived = arrived || arrivals();
    const centre = flat(P.centre), spread = flat(P.spread), step = Float64Array.from(P.step);
    for (const item of P.settable) {
      if (!(item.name in settings)) continue;
      for (let m = 0; m < M; m++) { centre[m * I + item.place] = (settings[item.name] - item.location) / item.scale; spread[m * I + item.place] = 0; }
      step[item.place] = 0;
    }
    const out = P.outcomes.map(() => new Float64Array(N));
    for (let d = 0; d < N; d++) {
      walk.fill(0); took.fill(0); pending.fill(0);
      let total = 0, quiet = 0, other = 0;
      for (let m = 0; m < M; m++) {
        for (let i = 0; i < I; i++) x[i] = centre[m * I + i] + spread[m * I + i] * error[d * I + i];
        for (let w = 0; w < W; w++) {
          const i = walking[w], still = x[i];
          walk[i] += noise[(d * M + m) * W + w] * unit * step[i];
          const moved = still + walk[i], least = low[i] < still ? low[i] : still, most = high[i] > still ? high[i] : still;
          x[i] = moved < least ? least : moved > most ? most : moved;
        }
        for (let c = 0; c < 3; c++) rate[c] = base[(d * periods + periodOf[m]) * 3 + c];
        for (let e = 0; e < E; e++) rate[ofT[e]] += x[of1[e]] * x[of2[e]] * weight[d * E + e];
        for (let k = 0; k < 2; k++) score[k] = resultBase[d * 2 + k];
        for (let e = 0; e < R; e++) score[rfT[e]] += x[rf1[e]] * x[rf2[e]] * resultWeight[d * R + e];
        if (m === 0) first.set(score);
        const year = years[m], coups = Math.exp(rate[0]), uprisings = Math.exp(rate[1]), others = Math.exp(rate[2]);
        const fatal0 = coups / (1 + Math.exp(-score[0])), fatal1 = uprisings / (1 + Math.exp(-score[1]));
        const hazard = (fatal0 + fatal1 + others) * year;
        const share = Math.exp(-total) * year * (hazard > 0 ? -Math.expm1(-hazard) / hazard : 1);
        took[0] += fatal0 * share * arrived[d * 2 * M + m];
        took[1] += fatal1 * share * arrived[(d * 2 + 1) * M + m];
        other += others * share;
        total += hazard;
        quiet += (coups + uprisings + others) * year;
      }
      let rest = 1;
      for (const c of ongoing) {
        const chance = 1 / (1 + Math.exp(-(first[c.place] + c.news[d])));
        pending[c.place] += rest * chance * c.done[d];
        rest *= 1 - chance;
      }
      const coup = pending[0] + rest * took[0], revolution = pending[1] + rest * took[1];
      const silent = ongoing.length ? 0 : Math.exp(-quiet);
      out[0][d] = coup; out[1][d] = revolution; out[2][d] = rest * other;
      out[3][d] = Math.max(1 - coup - revolution - rest * other - silent, 0); out[4][d] = silent;
    }
    return out;
  };

  const quantile = (sorted, level) => {
    const at = (sorted.length - 1) * level, low = Math.floor(at);
    return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  };
  const summarise = (draws) => {
    const sorted = Float64Array.from(draws).sort();
    const of = (level) => quantile(sorted, level);
    return { probability: draws.reduce((a, b) => a + b, 0) / draws.length, p05: of(0.05), p25: of(0.25), p75: of(0.75), p95: of(0.95) };
  };
  const predict = (settings) => Object.fromEntries(answer(settings).map((draws, o) => [P.outcomes[o], summarise(draws)]));

  // ---- the controls
  const section = document.getElementById("explorer");
  section.hidden = false;
  const percent = (value) => (value > 0 && value < 0.0005 ? "<0.1%" : (100 * value).toFixed(1) + "%");
  const sliders = new Map(P.settable.map((item) => [item.name, document.getElementById("set-" + item.name)]));
  const settings = {};
  let before = null;

  const paint = () => {
    const now = predict(settings);
    for (const [outcome, line] of Object.entries(now)) {
      const row = section.querySelector(`tr[data-outcome="${outcome}"]`), cells = row.querySelectorAll("td");
      const change = 100 * (line.probability - before[outcome].probability);
      cells[0].textContent = percent(line.probability);
      cells[1].textContent = `${percent(line.p05)} to ${percent(line.p95)}`;
      cells[2].textContent = Math.abs(change) < 0.05 ? "–" : `${change > 0 ? "▲ +" : "▼ −"}${Math.abs(change).toFixed(1)}`;
      for (const [name, x, y] of [["b90", "p05", "p95"], ["b50", "p25", "p75"]]) {
        const bar = row.querySelector("." + name);
        bar.setAttribute("x", 2 + 176 * line[x]);
        bar.setAttribute("width", Math.max(176 * (line[y] - line[x]), 1));
      }
      row.querySelector(".mean").setAttribute("x", 0.5 + 176 * line.probability);
    }
    for (const item of P.settable) {
      const slider = sliders.get(item.name), set = item.name in settings;
      if (!set) slider.value = item.now;
      const shown = set ? settings[item.name].toFixed(2) : `${item.now.toFixed(2)} (as read)`;
      document.getElementById("value-" + item.name).textContent = shown;
      slider.setAttribute("aria-valuetext", shown);
    }
    const command = Object.entries(settings).map(([name, value]) => ` --set ${name}=${value}`).join("");
    document.getElementById("explorer-command").textContent = section.dataset.command + command;
    document.getElementById("explorer-said").textContent =
      `${Object.keys(settings).length || "No"} setting${Object.keys(settings).length === 1 ? "" : "s"}. Coup ${percent(now.coup.probability)}, revolution ${percent(now.revolution.probability)}.`;
    return now;
  };
  let waiting = 0;
  const later = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(paint); };
  const keep = () => {
    const text = Object.entries(settings).map(([name, value]) => `${name}=${value}`).join("&");
    try { history.replaceState(null, "", text ? "#set:" + text : "#explorer"); } catch (_) { /* a page from disk may not */ }
  };
  const read = () => {
    for (const name of Object.keys(settings)) delete settings[name];
    if (!location.hash.startsWith("#set:")) return false;
    for (const pair of location.hash.slice(5).split("&")) {
      const [name, text] = pair.split("="), item = P.settable.find((entry) => entry.name === name), value = Number(text);
      if (item && text && Number.isFinite(value) && value >= item.least && value <= item.most) {
        settings[name] = value;
        sliders.get(name).value = value;
      }
    }
    return true;
  };
  for (const [name, slider] of sliders)
    slider.addEventListener("input", () => { settings[name] = Number(slider.value); keep(); later(); });
  document.getElementById("explorer-reset").addEventListener("click", () => {
    for (const name of Object.keys(settings)) delete settings[name];
    keep(); paint();
  });
  const share = document.getElementById("explorer-share");
  share.addEventListener("click", async () => {
    keep();
    const field = document.getElementById("explorer-link");
    field.hidden = false; field.value = location.href; field.select();
    try { await navigator.clipboard.writeText(location.href); share.textContent = "Link copied"; } catch (_) { share.textContent = "Copy the link below"; }
  });
  addEventListener("hashchange", () => { if (read()) paint(); });
  before = predict({});
  read();
  paint();
  globalThis.forecastExplorer = { predict, settable: P.settable };
})();
