// What stands behind the headline: paired differences, exploration, what was selected.

const paired = (story) => {
  const palette = paletteOf(story);
  const colour = (name) => {
    const p = rivalsOf(story).find((one) => one.name === name);
    return p ? palette.colour(p) : "var(--accent)";
  };
  const families = [
    [
      "champion",
      "The champion against the others",
      "Others' regret less the champion's, scenario by scenario. Right of 0 the champion is better.",
    ],
    [
      "step",
      "Each iteration against the one before",
      "Regret of the model before less that of the model after. Right of 0 the iteration helped.",
    ],
  ];
  const charts = families.map(([family, title, note]) => {
    const found = story.differences.filter((one) => one.family === family);
    if (!found.length) return null;
    const name = (one) => (family === "step" ? one.ours : `against ${one.other}`);
    return rowsChart({
      title,
      note: `${note} On ${plural(found[0].scenarios, `${found[0].split} scenario`)}.`,
      unit: "paired drop of regret per trajectory",
      rows: found.map((one) => ({
        name: name(one),
        ...one.drop,
        colour: colour(one.other),
        square: family === "champion" && colour(one.other) !== "var(--accent)",
      })),
      table: () =>
        table(
          title,
          ["compared", "drop [95 % interval]", "p", "p corrected (Holm)"],
          found.map((one) => ({
            cells: [
              `${one.ours} against ${one.other}`,
              interval(one.drop),
              num(one.p, 4),
              num(one.p_holm, 4),
            ],
          })),
        ),
    });
  });
  if (!charts.some(Boolean)) return null;
  return section(
    "differences",
    "Paired differences",
    "All players meet the same scenarios with the same chance, so a difference of regret is a difference of decisions. Where an interval contains 0, chance is an explanation.",
    charts,
    sharesChart(story),
  );
};

// A measure that has no meaning for these problems is left out.
const told = (lines) =>
  lines
    .map((line) => ({ ...line, points: line.points.filter((point) => known(point.mean)) }))
    .filter((line) => line.points.length);

const smallCharts = (names, seriesOf) =>
  h(
    "div",
    { class: "grid" },
    names
      .filter((name) => told(seriesOf(name)).length)
      .map((name) =>
        chart({
          small: true,
          title: MEASURES[name][0],
          note: MEASURES[name][1],
          x: { label: "iteration" },
          y: { label: name === "regret" ? "regret per trajectory" : "share" },
          series: told(seriesOf(name)),
        }),
      ),
  );

const key = (lines) =>
  h(
    "p",
    { class: "key" },
    lines.map((one) =>
      h(
        "span",
        {},
        s(
          "svg",
          { width: 26, height: 10, "aria-hidden": "true" },
          s("path", {
            class: "line",
            d: "M0 5H26",
            style: { stroke: one.colour, "stroke-width": 3, "stroke-dasharray": one.dash || "none" },
          }),
        ),
        one.name,
      ),
    ),
  );

const exploration = (story) => {
  const split = followed(story);
  const models = modelsOf(story, split);
  if (!models.length) return null;
  const palette = paletteOf(story);
  const rivals = split === "test" ? rivalsOf(story) : [];
  const lines = (name) => [
    {
      name: "Model",
      colour: "var(--accent)",
      width: 2.5,
      band: true,
      dots: true,
      points: models
        .filter((p) => p.measures[name])
        .map((p) => ({ x: p.index, ...p.measures[name], champion: isChampion(story, p) })),
    },
    ...rivals.map((p) => ({
      name: p.name,
      flat: true,
      colour: palette.colour(p),
      dash: palette.dash(p),
      width: 1.5,
      points: [{ x: 0, ...p.measures[name] }],
    })),
  ];
  return section(
    "exploration",
    "Exploration",
    `On the ${split} scenarios. Regret can fall because a model gives up exploring and is lucky. Read SuffFailFreq and K × MinFrac together: good play has both low failure and some exploration left.`,
    key(lines("best_share")),
    smallCharts(
      ["suff_fail_freq", "k_min_frac", "greedy_frac", "best_share", "answer_entropy", "valid"],
      lines,
    ),
    byPosition(story, models),
    ownMeasures(story, [...models, ...rivals]),
  );
};

// The share of answers on each position as listed: of the base, and of the champion or the last model.
const byPosition = (story, models) => {
  const told = models.filter((p) => p.position_shares.length > 1);
  if (!told.length) return null;
  const last = told.find((p) => isChampion(story, p) && p.index) || told[told.length - 1];
  const shown = told[0] === last ? [last] : [told[0], last];
  const even = 1 / last.position_shares.length;
  const points = (shares) => shares.map((mean, place) => ({ x: place + 1, mean }));
  return chart({
    title: "Answers by position",
    note: "Share of answers that choose the first, second, ... action as the prompt lists them. Where the order is drawn (prompts.name_order), an uneven share is a liking for a place. Problems with fewer actions have no later places.",
    x: { label: "position in the list" },
    y: { label: "share of answers" },
    series: [
      ...shown.map((p) => ({
        name: named(story, p),
        colour: p === last ? "var(--accent)" : "var(--base)",
        dash: p === last ? null : "5 4",
        width: 2.5,
        dots: true,
        points: points(p.position_shares),
      })),
      {
        name: "even",
        colour: "var(--second)",
        dash: "2 3",
        width: 1.5,
        points: points(last.position_shares.map(() => even)),
      },
    ],
  });
};

// What the run's own measures say of every player.
const ownMeasures = (story, players) => {
  const names = [...new Set(players.flatMap((p) => Object.keys(p.own)))];
  if (!names.length) return null;
  return table(
    "Measures of your own",
    ["player", ...names],
    players.map((p) => ({
      strong: isChampion(story, p),
      cells: [named(story, p), ...names.map((name) => interval(p.own[name], 3))],
    })),
  );
};

const selection = (story) => {
  if (!story.makeups.length) return null;
  const lines = (name) =>
    [
      ["of_all", "All training trajectories", "var(--base)", "5 4"],
      ["of_kept", "Selected ones", "var(--accent)", null],
    ].map(([set, label, colour, dash]) => ({
      name: label,
      colour,
      dash,
      band: true,
      dots: true,
      width: 2.5,
      points: story.makeups.filter((m) => m[set][name]).map((m) => ({ x: m.iteration, ...m[set][name] })),
    }));
  const reasons = Object.keys(REASONS);
  return section(
    "selection",
    "Selected against all",
    "What the model learns from, beside what it played. Selection seeks low regret; where it also seeks less exploration, the next model will explore less.",
    key(lines("regret")),
    smallCharts(
      ["regret", "suff_fail_freq", "k_min_frac", "greedy_frac", "best_share", "answer_entropy"],
      lines,
    ),
    table(
      "Verdicts of selection, in trajectories",
      ["iteration", ...reasons.map((why) => REASONS[why]), "all"],
      story.makeups.map((m) => ({
        cells: [m.iteration, ...reasons.map((why) => count(m.reasons[why] || 0)), count(m.all)],
      })),
    ),
  );
};
