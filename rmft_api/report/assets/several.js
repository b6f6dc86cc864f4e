// A family of seeds, and the cells of an ablation grid.

const seedsSection = (story) => {
  const found = story.family;
  if (!found || !found.seeds.length) return null;
  const drops = found.seeds.filter((one) => one.drop);
  const pooled = found.players.find((one) => one.name === "champion");
  const rivals = found.players.filter((one) => one.above_champion);
  return section(
    "seeds",
    "Over all seeds",
    "Every seed has its own scenarios and its own training. Intervals over all seeds know both; they need at least 3 seeds.",
    drops.length
      ? rowsChart({
          title: "What every seed gained",
          note: "Paired drop of regret from the base to the champion on the test scenarios. Right of 0 the champion is better.",
          unit: "paired drop of regret per trajectory",
          rows: [
            ...drops.map((one) => ({ name: `seed ${one.seed}`, ...one.drop, colour: "var(--base)" })),
            ...(pooled && pooled.drop
              ? [{ name: "all seeds", ...pooled.drop, colour: "var(--accent)", strong: true }]
              : []),
          ],
          table: () => seedsTable(found.seeds),
        })
      : seedsTable(found.seeds),
    rowsChart({
      title: "Everybody over all seeds",
      note: "Mean regret of a trajectory. Squares are known algorithms.",
      unit: "regret per trajectory",
      rows: [...found.players]
        .sort((a, b) => a.regret.mean - b.regret.mean)
        .map((one) => ({
          name: one.name + (one.partial ? " (only some problems)" : ""),
          ...one.regret,
          colour: one.name === "champion" ? "var(--accent)" : "var(--base)",
          square: one.name !== "champion" && one.name !== "base",
          strong: one.name === "champion",
        })),
      table: () => pooledTable(found.players),
    }),
    rivals.length
      ? rowsChart({
          title: "The champions against the others, over all seeds",
          note: "Others' regret less the champions', scenario by scenario. Right of 0 the champions are better.",
          unit: "paired difference of regret per trajectory",
          rows: rivals.map((one) => ({
            name: `against ${one.name}`,
            ...one.above_champion,
            colour: one.name === "base" ? "var(--accent)" : "var(--base)",
            square: one.name !== "base",
          })),
        })
      : null,
  );
};

const seedsTable = (seeds) =>
  table(
    "Every seed",
    ["seed", "champion", "base", "regret", "drop to base", "of the possible", "SuffFailFreq", "K × MinFrac", "readable", "scenarios", "run"],
    seeds.map((one) => ({
      cells: [
        one.seed,
        one.champion ? `iteration ${one.champion}` : "base",
        interval(one.base),
        interval(one.regret),
        interval(one.drop),
        shareOf(one.share_of_possible),
        num(one.suff_fail_freq),
        num(one.k_min_frac),
        percent(one.valid),
        one.scenarios,
        one.run,
      ],
    })),
  );

const pooledTable = (players) =>
  table(
    "Over all seeds",
    ["who", "regret", "drop to base", "above the champions", "of the possible", "SuffFailFreq", "K × MinFrac", "readable"],
    players.map((one) => ({
      cells: [
        one.name + (one.partial ? " (only some problems)" : ""),
        interval(one.regret),
        interval(one.drop),
        interval(one.above_champion),
        shareOf(one.share_of_possible),
        num(one.suff_fail_freq),
        num(one.k_min_frac),
        percent(one.valid),
      ],
    })),
  );

const cellsSection = (story) => {
  if (!story.cells.length) return null;
  const first = story.cells[0];
  const changes = (one) =>
    Object.entries(one.changes)
      .map(([name, value]) => `${name} = ${value}`)
      .join(", ") || "–";
  return section(
    "cells",
    "Cells",
    `Each cell changes something of the same run file, and is held against the first one, ${first.name}. Figures are of the champions on their test scenarios.`,
    rowsChart({
      title: "What every cell gained",
      note: "Paired drop of regret from the base to the champion. Right of 0 training helped.",
      unit: "paired drop of regret per trajectory",
      rows: story.cells.map((one) => ({
        name: one.name,
        ...one.drop,
        colour: one === first ? "var(--accent)" : "var(--base)",
        strong: one === first,
      })),
    }),
    table(
      "The cells",
      ["cell", "what it changes", "what it is there for", "regret", "drop to base", "lower than the first by", "p (Holm)", "SuffFailFreq", "K × MinFrac", "readable", "runs", "scenarios"],
      story.cells.map((one) => ({
        cells: [
          one.name,
          changes(one),
          one.says || "–",
          interval(one.regret),
          interval(one.drop),
          one.lower_than_first ? interval(one.lower_than_first) : "–",
          num(one.p_holm, 4),
          num(one.suff_fail_freq),
          num(one.k_min_frac),
          percent(one.valid),
          `${one.runs} of ${one.of}`,
          one.scenarios,
        ],
      })),
    ),
  );
};
