// What the policies would have earned on held-out rows of a log.

const offPolicy = (story) => {
  if (!story.off_policy) return null;
  const first = { values: story.off_policy, notes: story.off_policy_notes };
  const parts = [first, ...story.other_logs].map((one) => onRows(story, one.values, one.notes));
  return section(
    "log",
    "On the log's own rows",
    "Nothing here is simulated: held-out rows tell what each policy would have earned. Higher is better.",
    ...parts.flat(),
  );
};

// One log: its values as bars with their intervals, and what they rest on.
const onRows = (story, found, notes) => {
  const isBest = (p) => p.index !== null && p.index === story.champion;
  // A fine-tune's id is longer than any place for it; which one it is stands in the table.
  const nameOf = (p) => playerName(p) + (isBest(p) ? " (champion)" : "");
  const rounds = story.other_logs.length ? `, T = ${found.rounds}` : "";
  const title = `Mean reward per decision, doubly robust: ${found.file}${rounds}`;
  return [
    rowsChart({
      title,
      note: `On ${plural(found.rows, "held-out row")}, with the 95 % interval.`,
      unit: "mean reward per decision",
      wide: 230,
      rows: found.players.map((p) => ({
        name: nameOf(p),
        ...p.dr,
        colour: p.index === null ? "var(--second)" : "var(--accent)",
        square: p.index === null,
        strong: isBest(p),
      })),
      table: () =>
        table(
          title,
          ["policy", "model", "IPS", "SNIPS", "doubly robust", "over the base", "worth rows", "valid"],
          found.players.map((p) => ({
            strong: isBest(p),
            cells: [
              nameOf(p),
              p.index === null ? "" : p.name,
              interval(p.ips),
              interval(p.snips),
              interval(p.dr),
              p.over_base ? interval(p.over_base) : "",
              num(p.effective_rows, 0),
              p.valid === null ? "" : `${num(100 * p.valid, 1)} %`,
            ],
          })),
        ),
    }),
    ...notes.map((text) => h("p", { class: "note" }, `${text}.`)),
  ];
};
