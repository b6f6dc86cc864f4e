// Several players beside each other: an evaluation, or several runs.

const algorithms = (story) => story.players.filter((p) => p.model === null).map((p) => p.name);
const lookOf = (story, name) => {
  const rival = algorithms(story).indexOf(name);
  if (rival >= 0) return { colour: `var(--rival-${rival % 6})`, dash: DASHES[rival % 6], square: true };
  const models = story.players.filter((p) => p.model !== null).map((p) => p.name);
  const place = models.indexOf(name);
  const share = models.length < 2 ? 0 : Math.round((100 * place) / (models.length - 1));
  return {
    colour: `color-mix(in oklab, var(--accent), var(--base) ${share}%)`,
    dash: place && models.length > 2 ? DASHES[(place - 1) % DASHES.length] : null,
    square: false,
  };
};
const whoIs = (p) => {
  const read = p.model === null ? 1 : (p.measures.valid?.mean ?? 1);
  const only = p.only.length ? ` (${p.only.join(", ")} alone)` : "";
  return p.name + only + (read < MOSTLY_READ ? ` · ${percent(read)} readable` : "");
};

const comparedGlance = (story) => {
  const head = story.headline;
  const verdict = head.sure === null ? "open" : head.sure ? "sure" : "unsure";
  const ranked = [...story.players].sort((a, b) => a.regret.mean - b.regret.mean);
  return h(
    "section",
    { id: "glance", class: "glance", "aria-labelledby": "glance-title" },
    h("h1", { id: "glance-title" }, head.title),
    h("p", { class: `verdict ${verdict}` }, head.text),
    story.about ? h("p", { class: "lead" }, story.about) : null,
    story.warnings.map((text) => h("p", { class: "warning" }, h("b", {}, "Watch out: "), text, ".")),
    h(
      "dl",
      { class: "facts" },
      story.facts.map((fact) =>
        h("div", {}, h("dt", {}, fact.label), h("dd", {}, fact.value), h("dd", { class: "note" }, fact.note)),
      ),
    ),
    ranked.length
      ? rowsChart({
          title: "Who decides best",
          note: "Mean regret of a trajectory with its 95 % interval. Lower is better. Squares are known algorithms.",
          unit: "regret per trajectory",
          rows: ranked.map((p) => ({ name: whoIs(p), ...p.regret, ...lookOf(story, p.name) })),
          table: () => comparedTable(story),
        })
      : null,
    sharesRows(
      ranked.filter((p) => p.share_of_possible).map((p) => ({ name: whoIs(p), ...p.share_of_possible, ...lookOf(story, p.name) })),
      story.runs.length ? "its own base" : "the first model",
    ),
    story.notes.map((text) => h("p", { class: "lead" }, text)),
  );
};

const comparedTable = (story) => {
  const names = Object.keys(MEASURES).filter((name) => name !== "regret");
  const shared = story.players.some((p) => p.share_of_possible);
  return table(
    "Every player",
    [
      "player",
      "regret",
      "drop",
      ...(shared ? ["of the possible"] : []),
      ...names.map((name) => MEASURES[name][0]),
      "scenarios",
      "model",
    ],
    story.players.map((p) => ({
      cells: [
        p.name,
        interval(p.regret),
        interval(p.drop),
        ...(shared ? [shareOf(p.share_of_possible)] : []),
        ...names.map((name) => num(p.measures[name]?.mean)),
        p.scenarios,
        p.model ?? "(algorithm)",
      ],
    })),
  );
};

const chains = (story) => {
  if (!story.chains.length) return null;
  return section(
    "iterations",
    "Regret by iteration",
    story.cells.length ? "Means over the seeds of each cell. Iteration 0 is the base." : "Every run's models, one after the other. Iteration 0 is the base.",
    chart({
      title: `Mean regret of each iteration's model, ${story.cells.length ? "cell by cell" : "run by run"}`,
      note: "Bars: 95 % intervals over scenarios. Large dots: champions.",
      x: { label: "iteration" },
      y: { label: "regret per trajectory" },
      series: story.chains.map((one, i) => ({
        name: `${one.name}, ${one.split}`,
        colour: i ? `var(--rival-${(i - 1) % 6})` : "var(--accent)",
        dash: i ? DASHES[(i - 1) % 6] : null,
        dots: true,
        aside: 4 * (i - (story.chains.length - 1) / 2),
        points: one.points,
      })),
    }),
  );
};

const comparedRounds = (story) => {
  const horizons = [...new Set(story.players.flatMap((p) => p.curves.map((c) => c.T)))].sort((a, b) => b - a);
  if (!horizons.length) return null;
  const first = story.players.filter((p) => p.model !== null).slice(0, 4);
  const charts = horizons.map((T) =>
    chart({
      title: horizons.length > 1 ? `Regret over the rounds, T = ${T}` : "Regret over the rounds",
      note: "Bands are 95 % intervals. A curve that bends flat has stopped losing. Press a name to show or hide its line.",
      x: { label: "round" },
      y: { label: "regret so far" },
      series: story.players
        .map((p) => ({ p, curve: p.curves.find((c) => c.T === T) }))
        .filter(({ curve }) => curve)
        .map(({ p, curve }) => ({
          name: p.name,
          ...lookOf(story, p.name),
          width: p.model === null ? 1.5 : 2.5,
          band: first.includes(p),
          points: curve.rounds.map((x, i) => ({
            x,
            mean: curve.mean[i],
            low: curve.low[i],
            high: curve.high[i],
          })),
        })),
    }),
  );
  return section(
    "rounds",
    "Regret over the rounds",
    "How fast the players stop losing: mean regret after each round.",
    charts,
  );
};

const FAMILIES = {
  cells: "Each cell against the first",
  models: "Models, pair by pair",
  algorithms: "Models against known algorithms",
};

const comparedPairs = (story) => {
  if (!story.pairs.length) return null;
  const charts = Object.entries(FAMILIES).map(([family, title]) => {
    const found = story.pairs.filter((one) => one.family === family);
    if (!found.length) return null;
    return rowsChart({
      title,
      note: `Regret of the second less that of the first, scenario by scenario. Right of 0 the first is better. ${family === "cells" ? "Intervals are 95 % each" : "Intervals hold for all rows together"}; bold rows are significant after Holm's correction.`,
      unit: "paired difference of regret per trajectory",
      rows: found.map((one) => ({
        name: `${one.one} against ${one.other}`,
        ...one.drop,
        colour: one.p_holm < 0.05 ? "var(--accent)" : "var(--base)",
        strong: one.p_holm < 0.05,
      })),
      table: () =>
        table(
          title,
          ["compared", "lower by [95 % interval]", "p", "p corrected (Holm)"],
          found.map((one) => ({
            cells: [
              `${one.one} against ${one.other}`,
              interval(one.drop),
              num(one.p, 4),
              num(one.p_holm, 4),
            ],
          })),
        ),
    });
  });
  return section(
    "differences",
    "Paired differences",
    "All players meet the same scenarios with the same chance, so a difference of regret is a difference of decisions. Where an interval contains 0, chance is an explanation.",
    charts,
  );
};

// A cell of an axis: its regret, coloured by the change against the first player.
const axisCell = (line, first, name) => {
  const cell = line.cells[name],
    base = line.cells[first];
  if (!cell) return "";
  const share = cell.drop && base ? Math.max(-1, Math.min(1, cell.drop.mean / (base.regret.mean || 1))) : 0;
  const sure = cell.drop && known(cell.drop.low) && (cell.drop.low > 0 || cell.drop.high < 0);
  const mark = cell.trained === null ? "" : cell.trained ? " +" : " −";
  return h(
    "span",
    {
      class: `heat${sure ? " sure" : ""}`,
      title: `regret ${interval(cell.regret)}${cell.drop ? `; lower than ${first} by ${interval(cell.drop)}` : ""}`,
      style: {
        background: `color-mix(in oklab, ${share < 0 ? "var(--loss)" : "var(--accent)"} ${Math.round(45 * Math.abs(share))}%, transparent)`,
      },
    },
    num(cell.regret.mean) + mark,
  );
};

const comparedAxes = (story) => {
  if (!story.axes.length) return null;
  const names = story.players.map((p) => p.name);
  return section(
    "axes",
    "Kinds of scenarios",
    `Regret on each kind. Colour is the paired change against ${names[0]}: blue is less regret, red is more; bold where its 95 % interval excludes 0. + trained on this value, − never met it in training.`,
    story.axes.map((axis) =>
      table(
        `By ${axis.name}`,
        [axis.name, "scenarios", ...names],
        axis.lines.map((line) => ({
          cells: [line.value, line.scenarios, ...names.map((name) => axisCell(line, names[0], name))],
        })),
      ),
    ),
  );
};

const comparedExploration = (story) => {
  const names = Object.keys(MEASURES).filter(
    (name) => name !== "regret" && story.players.some((p) => known(p.measures[name]?.mean)),
  );
  if (!names.length) return null;
  return section(
    "exploration",
    "Exploration",
    "Regret can be low because a player gave up exploring and was lucky. Read SuffFailFreq and K × MinFrac together.",
    h(
      "div",
      { class: "grid" },
      names.map((name) =>
        rowsChart({
          title: MEASURES[name][0],
          note: MEASURES[name][1],
          unit: "share",
          rows: story.players
            .filter((p) => known(p.measures[name]?.mean))
            .map((p) => ({ name: p.name, ...p.measures[name], ...lookOf(story, p.name) })),
        }),
      ),
    ),
  );
};

const runsTable = (story) => {
  if (!story.runs.length) return null;
  const keys = [...new Set(story.runs.flatMap((one) => Object.keys(one.settings)))];
  return section(
    "runs",
    "Runs",
    "What they are, what they cost, and where their settings differ from the first run's.",
    table(
      "The runs",
      ["run", "state", "champion", "base", "seed", "spent", ...keys],
      story.runs.map((one) => ({
        cells: [
          one.name,
          STATES[one.state] + (one.stage ? `: ${one.stage}` : ""),
          one.champion,
          one.base,
          one.seed,
          dollars(one.spent),
          ...keys.map((key) => one.settings[key] ?? ""),
        ],
      })),
    ),
  );
};

const comparedMoney = (story) => (story.money ? money(story) : null);

const COMPARED = [
  comparedGlance,
  seedsSection,
  cellsSection,
  chains,
  comparedRounds,
  comparedPairs,
  comparedAxes,
  comparedExploration,
  runsTable,
  comparedMoney,
];
