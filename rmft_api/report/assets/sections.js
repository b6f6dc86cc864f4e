// The sections of the report, from the figures of the run.

const DASHES = ["6 4", "2 3", "9 3 2 3", "12 4", "4 2", "1 3"];

const paletteOf = (story) => {
  const last = Math.max(1, ...story.players.filter((p) => p.index !== null).map((p) => p.index));
  const rivals = [...new Set(story.players.filter((p) => p.index === null).map((p) => p.name))];
  const model = (index) => {
    if (index === 0) return "var(--base)";
    if (index === story.champion) return "var(--accent)";
    return `color-mix(in oklab, var(--early), var(--late) ${Math.round(100 * index / last)}%)`;
  };
  const rival = (name) => rivals.indexOf(name) % 6;
  return {
    colour: (player) => (player.index === null ? `var(--rival-${rival(player.name)})` : model(player.index)),
    dash: (player) => (player.index === null ? DASHES[rival(player.name)] : null),
  };
};

const whole = (story, split) => story.players.filter((p) => p.split === split && p.regret);
const modelsOf = (story, split) => whole(story, split).filter((p) => p.index !== null).sort((a, b) => a.index - b.index);
const rivalsOf = (story) => story.players.filter((p) => p.index === null);
const evaluated = (story) => (modelsOf(story, "test").length ? "test" : "validation");
const isChampion = (story, player) => player.index !== null && player.index === story.champion;
const named = (story, player) => playerName(player) + (isChampion(story, player) ? " (champion)" : "");

const section = (id, title, lead, ...content) => h("section", { id, "aria-labelledby": `${id}-title` },
  h("h2", { id: `${id}-title` }, title), lead ? h("p", { class: "lead" }, lead) : null, ...content);

const glance = (story) => {
  const head = story.headline;
  const verdict = head.sure === null ? "open" : head.sure ? "sure" : "unsure";
  return h("section", { id: "glance", class: "glance", "aria-labelledby": "glance-title" },
    h("h1", { id: "glance-title" }, head.title),
    h("p", { class: `verdict ${verdict}` }, head.text),
    story.warnings.map((text) => h("p", { class: "warning" }, h("b", {}, "Watch out: "), text, ".")),
    h("dl", { class: "facts" }, story.facts.map((fact) => h("div", {}, h("dt", {}, fact.label), h("dd", {}, fact.value), h("dd", { class: "note" }, fact.note)))),
    standing(story));
};

// Everybody on the scenarios that are reported, best first.
const standing = (story) => {
  const split = evaluated(story);
  const palette = paletteOf(story);
  const models = modelsOf(story, split).filter((p) => p.index === 0 || isChampion(story, p));
  const all = [...models, ...(split === "test" ? rivalsOf(story) : [])].sort((a, b) => a.regret.mean - b.regret.mean);
  if (!all.length) return null;
  return rowsChart({
    title: "Who decides best",
    note: `Mean regret of a trajectory on the ${split} scenarios, with its 95 % interval. Lower is better.`,
    unit: "regret per trajectory",
    rows: all.map((p) => ({ name: named(story, p), ...p.regret, colour: palette.colour(p), square: p.index === null, strong: isChampion(story, p) })),
  });
};

const byIteration = (story) => {
  const palette = paletteOf(story);
  const line = (split, extra) => ({
    name: `${SPLITS[split]} regret`, dots: true,
    points: modelsOf(story, split).map((p) => ({ x: p.index, ...p.regret, champion: isChampion(story, p) })), ...extra,
  });
  const series = [line("test", { colour: "var(--accent)", width: 2.5, band: true }), line("validation", { colour: "var(--second)", dash: "5 4" })];
  const flat = rivalsOf(story).map((p) => ({ name: p.name, flat: true, colour: palette.colour(p), dash: palette.dash(p), width: 1.5, points: [{ x: 0, ...p.regret }] }));
  const shown = [...series, ...flat].filter((one) => one.points.length);
  if (!shown.length) return null;
  return section("iterations", "Regret by iteration",
    "Validation chooses the champion; test chooses nothing, so test is what counts. Both are the same scenarios for every model. Iteration 0 is the base.",
    chart({ title: "Mean regret of each iteration's model", note: "Bars and band: 95 % intervals over scenarios. Large dot: the champion. Level lines: known algorithms on the test scenarios.", x: { label: "iteration" }, y: { label: "regret per trajectory" }, series: shown }),
    folded("All figures of all models", () => playersTable(story)));
};

const playersTable = (story) => {
  const names = ["regret", ...Object.keys(MEASURES).filter((name) => name !== "regret")];
  const rows = ["test", "validation"].flatMap((split) => whole(story, split)).map((p) => ({
    mark: isChampion(story, p) ? "champion" : "",
    cells: [`${named(story, p)}, ${SPLITS[p.split].toLowerCase()}`, ...names.map((name) => (name === "regret" ? interval(p.regret) : num(p.measures[name]?.mean))), interval(p.paired_drop), p.name],
  }));
  return table("Every model and known algorithm", ["who", ...names.map((name) => MEASURES[name][0]), "drop to the base", "model"], rows);
};

const byRound = (story) => {
  const split = evaluated(story);
  const palette = paletteOf(story);
  const models = modelsOf(story, split);
  const last = models.at(-1)?.index;
  const players = [...models, ...(split === "test" ? rivalsOf(story) : [])];
  const horizons = [...new Set(players.flatMap((p) => p.curves.map((c) => c.T)))].sort((a, b) => b - a);
  if (!horizons.length) return null;
  const curveOf = (p, T) => p.curves.find((c) => c.T === T);
  const charts = horizons.map((T) => chart({
    title: horizons.length > 1 ? `Regret over the rounds, T = ${T}` : "Regret over the rounds",
    note: `${SPLITS[split]} scenarios${models[0] && curveOf(models[0], T) ? ` (${curveOf(models[0], T).scenarios} of ${T} rounds)` : ""}; bands are 95 % intervals. A curve that bends flat has stopped losing. Press a name to show or hide its line.`,
    x: { label: "round" }, y: { label: "regret so far" },
    series: players.filter((p) => curveOf(p, T)).map((p) => {
      const curve = curveOf(p, T);
      const main = p.index === 0 || isChampion(story, p) || (p.index !== null && p.index === last);
      return {
        name: named(story, p), colour: palette.colour(p), dash: palette.dash(p),
        width: isChampion(story, p) ? 3 : p.index === null ? 1.5 : 2,
        band: main, off: p.index !== null && !main,
        points: curve.rounds.map((x, i) => ({ x, mean: curve.mean[i], low: curve.low[i], high: curve.high[i] })),
      };
    }),
  }));
  return section("rounds", "Regret over the rounds", "How fast the players stop losing: mean regret after each round.", charts);
};

const paired = (story) => {
  const palette = paletteOf(story);
  const colour = (name) => { const p = rivalsOf(story).find((one) => one.name === name); return p ? palette.colour(p) : "var(--accent)"; };
  const families = [
    ["champion", "The champion against the others", "Others' regret less the champion's, scenario by scenario. Right of 0 the champion is better."],
    ["step", "Each iteration against the one before", "Regret of the model before less that of the model after. Right of 0 the iteration helped."],
  ];
  const charts = families.map(([family, title, note]) => {
    const found = story.differences.filter((one) => one.family === family);
    if (!found.length) return null;
    const name = (one) => (family === "step" ? one.ours : `against ${one.other}`);
    return rowsChart({
      title, note, unit: "paired drop of regret per trajectory",
      rows: found.map((one) => ({ name: name(one), ...one.drop, colour: colour(one.other), square: family === "champion" && colour(one.other) !== "var(--accent)" })),
      table: () => table(title, ["compared", "drop [95 % interval]", "p", "p corrected (Holm)"], found.map((one) => ({ cells: [`${one.ours} against ${one.other}`, interval(one.drop), num(one.p, 4), num(one.p_holm, 4)] }))),
    });
  });
  if (!charts.some(Boolean)) return null;
  return section("differences", "Paired differences", "All players meet the same scenarios with the same chance, so a difference of regret is a difference of decisions. Where an interval contains 0, chance is an explanation.", charts);
};

const smallCharts = (names, seriesOf) => h("div", { class: "grid" }, names.map((name) => chart({
  small: true, title: MEASURES[name][0], note: MEASURES[name][1],
  x: { label: "iteration" }, y: { label: name === "regret" ? "regret per trajectory" : "share, 0 to 1" }, series: seriesOf(name),
})));

const key = (lines) => h("p", { class: "key" }, lines.map((one) => h("span", {}, s("svg", { width: 26, height: 10, "aria-hidden": "true" }, s("path", { class: "line", d: "M0 5H26", style: { stroke: one.colour, "stroke-width": 3, "stroke-dasharray": one.dash || "none" } })), one.name)));

const exploration = (story) => {
  const split = evaluated(story);
  const models = modelsOf(story, split);
  if (!models.length) return null;
  const palette = paletteOf(story);
  const rivals = split === "test" ? rivalsOf(story) : [];
  const lines = (name) => [
    { name: "Model", colour: "var(--accent)", width: 2.5, band: true, dots: true, points: models.filter((p) => p.measures[name]).map((p) => ({ x: p.index, ...p.measures[name], champion: isChampion(story, p) })) },
    ...rivals.map((p) => ({ name: p.name, flat: true, colour: palette.colour(p), dash: palette.dash(p), width: 1.5, points: [{ x: 0, ...p.measures[name] }] })),
  ];
  return section("exploration", "Exploration", "Regret can fall because a model gives up exploring and is lucky. Read SuffFailFreq and K × MinFrac together: good play has both low failure and some exploration left.",
    key(lines("best_share")), smallCharts(["suff_fail_freq", "k_min_frac", "greedy_frac", "best_share", "answer_entropy", "valid"], lines));
};

const selection = (story) => {
  if (!story.makeups.length) return null;
  const lines = (name) => [["of_all", "All training trajectories", "var(--base)", "5 4"], ["of_kept", "Selected ones", "var(--accent)", null]].map(([set, label, colour, dash]) => ({
    name: label, colour, dash, band: true, dots: true, width: 2.5,
    points: story.makeups.filter((m) => m[set][name]).map((m) => ({ x: m.iteration, ...m[set][name] })),
  }));
  const reasons = Object.keys(REASONS);
  return section("selection", "Selected against all", "What the model learns from, beside what it played. Selection seeks low regret; where it also seeks less exploration, the next model will explore less.",
    key(lines("regret")), smallCharts(["regret", "suff_fail_freq", "k_min_frac", "greedy_frac"], lines),
    table("Verdicts of selection, in trajectories", ["iteration", ...reasons.map((why) => REASONS[why]), "all"],
      story.makeups.map((m) => ({ cells: [m.iteration, ...reasons.map((why) => count(m.reasons[why] || 0)), count(m.all)] }))));
};

const ofPlanned = (actual, planned) => (actual === null ? "?" : count(actual)) + (planned ? ` of ${count(planned)}` : "");

const phasesTable = (lines) => table("Planned against actual, phase by phase",
  ["phase", "state", "planned (low to worst)", "spent", "reserved", "heading for", "calls", "prompt tokens", "output tokens", "trained tokens"],
  lines.map((one) => {
    const plan = one.planned || {}, cost = one.planned_cost;
    return { cells: [one.phase, one.state,
      cost ? `${dollars(cost.expected)} (${dollars(cost.low)} to ${dollars(cost.worst)})` : "no plan was kept",
      dollars(one.spent), one.reserved ? dollars(one.reserved) : "", dollars(one.projected),
      ofPlanned(one.actual.calls, plan.calls), ofPlanned(one.actual.prompt_tokens, plan.prompt_tokens),
      ofPlanned(one.actual.output_tokens, plan.output_tokens), ofPlanned(one.actual.trained_tokens, plan.trained_tokens)] };
  }));

const moneyTold = ({ spent, reserved, cap, planned, projected }, lines) => {
  if (!spent && !reserved && !(planned && planned.worst)) return "This run has cost nothing: its model is played and trained on this machine, or nothing was billed yet.";
  const parts = [`${dollars(spent)} spent${cap ? ` of at most ${dollars(cap)}` : ""}`];
  if (planned && planned.expected !== null) parts.push(`${dollars(planned.expected)} planned`);
  if (reserved) parts.push(`${dollars(reserved)} reserved for requests whose bill is not known yet`);
  if (projected !== null && lines.some((one) => one.state !== "done")) parts.push(`heading for ${dollars(projected)}`);
  return `${parts.join("; ")}.`;
};

// Planned and spent dollars of each phase, where anything has a price.
const moneyRows = (lines) => {
  const priced = lines.filter((one) => one.spent || (one.planned_cost && one.planned_cost.worst));
  if (!priced.length) return null;
  const micro = (x) => (known(x) ? x / 1e6 : null);
  return rowsChart({
    title: "Planned and spent", unit: "US dollars",
    note: "Squares: planned, with the range from the lowest plan to the worst case. Dots: spent.",
    rows: priced.flatMap((one) => [
      one.planned_cost && known(one.planned_cost.expected) ? { name: `${one.phase}, planned`, mean: micro(one.planned_cost.expected), low: micro(one.planned_cost.low), high: micro(one.planned_cost.worst), colour: "var(--base)", square: true } : null,
      { name: `${one.phase}, spent`, mean: micro(one.spent), low: null, high: null, colour: "var(--accent)" },
    ].filter(Boolean)),
  });
};

const money = (story) => section("money", "Money", moneyTold(story.money, story.phases), moneyRows(story.phases),
  story.phases.length ? phasesTable(story.phases) : null);

const lineage = (story) => section("lineage", "Lineage", "Where every model comes from: enough to check the chain, or to repeat it elsewhere.",
  story.steps.length ? h("ol", { class: "steps" }, story.steps.map((step) => h("li", {},
    h("h3", {}, `Iteration ${step.iteration}`, step.iteration === story.champion ? h("span", { class: "badge" }, "champion") : null),
    h("dl", {}, [["model", step.model], ["trained from", step.start], ["dataset, SHA-256", step.dataset], ["file", step.file], ["job", step.job],
      ["trained tokens", step.trained_tokens === null ? "not told" : count(step.trained_tokens)],
      ["hyperparameters", Object.entries(step.hyperparameters).filter(([, v]) => v !== null).map(([k, v]) => `${k} = ${v}`).join(", ") || "the provider's choice"], ["seed", step.seed], ["decided", step.gate],
    ].filter(([, value]) => value !== "").map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "code" }, value))))))) : h("p", {}, "No model has been trained yet."),
  h("h3", {}, "The run"),
  h("dl", { class: "origin" }, [["began", day(story.began_at)], ...Object.entries(story.origin)].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "code" }, value)))),
  folded("All settings", () => table("Settings, as they were frozen when the run began", ["key", "value"], Object.entries(story.settings).map((cells) => ({ cells })))));
