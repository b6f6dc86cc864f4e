// The run at a glance, and regret by iteration and by round.

const glance = (story) => {
  const head = story.headline;
  const verdict = head.sure === null ? "open" : head.sure ? "sure" : "unsure";
  return h(
    "section",
    { id: "glance", class: "glance", "aria-labelledby": "glance-title" },
    h("h1", { id: "glance-title" }, head.title),
    h("p", { class: `verdict ${verdict}` }, head.text),
    story.warnings.map((text) => h("p", { class: "warning" }, h("b", {}, "Watch out: "), text, ".")),
    h(
      "dl",
      { class: "facts" },
      story.facts.map((fact) =>
        h("div", {}, h("dt", {}, fact.label), h("dd", {}, fact.value), h("dd", { class: "note" }, fact.note)),
      ),
    ),
    standing(story),
  );
};

// Everybody on the scenarios that are reported, best first.
const standing = (story) => {
  const split = evaluated(story);
  const palette = paletteOf(story);
  const models = modelsOf(story, split).filter((p) => p.index === 0 || isChampion(story, p));
  const all = [...models, ...(split === "test" ? rivalsOf(story) : [])].sort(
    (a, b) => a.regret.mean - b.regret.mean,
  );
  if (!all.length) return null;
  return rowsChart({
    title: "Who decides best",
    note: `Mean regret of a trajectory on the ${split} scenarios, with its 95 % interval. Lower is better.${limitNote(all)}`,
    unit: "regret per trajectory",
    rows: all.map((p) => ({
      name: named(story, p),
      ...p.regret,
      colour: palette.colour(p),
      square: p.index === null,
      strong: isChampion(story, p),
    })),
  });
};

// What the line is that nobody is expected to pass.
const limitNote = (players) =>
  players.some((p) => p.reference) ? " The limit is nearly the least regret possible for such problems." : "";

const byIteration = (story) => {
  const palette = paletteOf(story);
  const line = (split, extra) => ({
    name: `${SPLITS[split]} regret`,
    dots: true,
    points: modelsOf(story, split).map((p) => ({ x: p.index, ...p.regret, champion: isChampion(story, p) })),
    ...extra,
  });
  const series = [
    line("test", { colour: "var(--accent)", width: 2.5, band: true, aside: -4 }),
    line("validation", { colour: "var(--second)", dash: "5 4", aside: 4 }),
  ];
  const flat = rivalsOf(story).map((p) => ({
    name: p.name,
    flat: true,
    colour: palette.colour(p),
    dash: palette.dash(p),
    width: 1.5,
    points: [{ x: 0, ...p.regret }],
  }));
  const shown = [...series, ...flat].filter((one) => one.points.length);
  if (!shown.length) return null;
  return section(
    "iterations",
    "Regret by iteration",
    "Validation chooses the champion; test chooses nothing, so test is what counts. Both are the same scenarios for every model. Iteration 0 is the base.",
    chart({
      title: "Mean regret of each iteration's model",
      note: "Bars and band: 95 % intervals over scenarios. Large dot: the champion. Level lines: known algorithms on the test scenarios." + limitNote(rivalsOf(story)),
      x: { label: "iteration" },
      y: { label: "regret per trajectory" },
      series: shown,
    }),
    unreadNote([...modelsOf(story, "validation"), ...modelsOf(story, "test")]),
    folded("All figures of all models", () => playersTable(story)),
  );
};

// How much of the way from the base to the limit each model has gone, where a limit is known.
const sharesChart = (story) => {
  const found = Object.entries(story.shares).map(([index, one]) => ({ index: Number(index), one }));
  return sharesRows(
    found.map(({ index, one }) => ({
      name: index === story.champion ? `${iterationName(index)} (champion)` : iterationName(index),
      ...one,
      colour: "var(--accent)",
      strong: index === story.champion,
    })),
    "the base",
  );
};

const sharesRows = (rows, from) =>
  rows.length
    ? rowsChart({
        title: "Share of the possible",
        note: `How much of the way from the test regret of ${from} to the limit each model has gone, with its 95 % interval: 0 is ${from}, 1 the limit, nearly the least regret possible.`,
        unit: `share of the way from ${from} to the limit`,
        rows,
      })
    : null;

const playersTable = (story) => {
  const names = ["regret", ...Object.keys(MEASURES).filter((name) => name !== "regret")];
  const rows = ["test", "validation"]
    .flatMap((split) => whole(story, split))
    .map((p) => ({
      mark: isChampion(story, p) ? "champion" : "",
      cells: [
        `${named(story, p)}, ${SPLITS[p.split].toLowerCase()}`,
        ...names.map((name) => (name === "regret" ? interval(p.regret) : num(p.measures[name]?.mean))),
        interval(p.paired_drop),
        p.name,
      ],
    }));
  return table(
    "Every model and known algorithm",
    ["who", ...names.map((name) => MEASURES[name][0]), "drop to the base", "model"],
    rows,
  );
};

// Regret falls: the slope of log regret on log t is below 1, and the second half costs less a round.
const overTimeTable = (story, players) =>
  table(
    "Regret over time",
    ["who", "rounds", "scenarios", "log-log slope", "1st less 2nd half", "plays that lock in", "regret"],
    players.flatMap((p) =>
      p.over_time.map((one) => ({
        mark: isChampion(story, p) ? "champion" : "",
        cells: [
          named(story, p),
          one.horizon,
          one.scenarios,
          interval(one.growth),
          interval(one.halves),
          interval(one.locked),
          one.verdict,
        ],
      })),
    ),
  );

const byRound = (story) => {
  const split = evaluated(story);
  const palette = paletteOf(story);
  const models = modelsOf(story, split);
  const last = models.at(-1)?.index;
  const players = [...models, ...(split === "test" ? rivalsOf(story) : [])];
  const horizons = [...new Set(players.flatMap((p) => p.curves.map((c) => c.T)))].sort((a, b) => b - a);
  if (!horizons.length) return null;
  const curveOf = (p, T) => p.curves.find((c) => c.T === T);
  const few = (p) => (isChampion(story, p) ? `${playerName(p)}, champion` : playerName(p)) + doubt(p);
  const charts = horizons.map((T) =>
    chart({
      title: horizons.length > 1 ? `Regret over the rounds, T = ${T}` : "Regret over the rounds",
      note: `${SPLITS[split]} scenarios${models[0] && curveOf(models[0], T) ? ` (${curveOf(models[0], T).scenarios} of ${T} rounds)` : ""}; bands are 95 % intervals. A curve that bends flat has stopped losing. Press a name to show or hide its line.`,
      x: { label: "round" },
      y: { label: "regret so far" },
      series: players
        .filter((p) => curveOf(p, T))
        .map((p) => {
          const curve = curveOf(p, T);
          const main = p.index === 0 || isChampion(story, p) || (p.index !== null && p.index === last);
          return {
            name: few(p),
            colour: palette.colour(p),
            dash: palette.dash(p),
            width: isChampion(story, p) ? 3 : p.index === null ? 1.5 : 2,
            band: main,
            off: p.index !== null && !main,
            points: curve.rounds.map((x, i) => ({
              x,
              mean: curve.mean[i],
              low: curve.low[i],
              high: curve.high[i],
            })),
          };
        }),
    }),
  );
  return section(
    "rounds",
    "Regret over the rounds",
    "How fast the players stop losing: mean regret after each round.",
    charts,
    players.some((p) => p.over_time.length)
      ? folded("Whether regret falls, and play locks in", () => overTimeTable(story, players))
      : null,
    unreadNote(models),
  );
};
