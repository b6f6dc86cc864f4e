// What the run cost, and where its models come from.

const ofPlanned = (actual, planned) =>
  (actual === null ? "?" : actual || planned ? count(actual) : "") + (planned ? ` of ${count(planned)}` : "");

const phasesTable = (lines) =>
  table(
    "Planned against actual, phase by phase",
    [
      "phase",
      "state",
      "planned (low to worst)",
      "spent",
      "reserved",
      "heading for",
      "calls",
      "prompt tokens",
      "output tokens",
      "trained tokens",
    ],
    lines.map((one) => {
      const plan = one.planned || {},
        cost = one.planned_cost;
      return {
        cells: [
          one.phase,
          one.state,
          cost
            ? `${dollars(cost.expected)} (${dollars(cost.low)} to ${dollars(cost.worst)})`
            : "no plan was kept",
          dollars(one.spent),
          one.reserved ? dollars(one.reserved) : "",
          dollars(one.projected),
          ofPlanned(one.actual.calls, plan.calls),
          ofPlanned(one.actual.prompt_tokens, plan.prompt_tokens),
          ofPlanned(one.actual.output_tokens, plan.output_tokens),
          ofPlanned(one.actual.trained_tokens, plan.trained_tokens),
        ],
      };
    }),
  );

const moneyTold = ({ spent, reserved, cap, planned, projected }, lines) => {
  if (!spent && !reserved && !(planned && planned.worst))
    return "This run has cost nothing: its model is played and trained on this machine, or nothing was billed yet.";
  const parts = [`${dollars(spent)} spent${cap ? ` of at most ${dollars(cap)}` : ""}`];
  if (planned && planned.expected !== null) parts.push(`${dollars(planned.expected)} planned`);
  if (reserved) parts.push(`${dollars(reserved)} reserved for requests whose bill is not known yet`);
  if (projected !== null && lines.some((one) => one.state !== "done"))
    parts.push(`heading for ${dollars(projected)}`);
  return `${parts.join("; ")}.`;
};

// Planned and spent dollars of each phase, where anything has a price.
const moneyRows = (lines) => {
  const priced = lines.filter((one) => one.spent || (one.planned_cost && one.planned_cost.worst));
  if (!priced.length) return null;
  const micro = (x) => (known(x) ? x / 1e6 : null);
  return rowsChart({
    title: "Planned and spent",
    unit: "US dollars",
    note: "Squares: planned, with the range from the lowest plan to the worst case. Dots: spent.",
    rows: priced.flatMap((one) =>
      [
        one.planned_cost && known(one.planned_cost.expected)
          ? {
              name: `${one.phase}, planned`,
              mean: micro(one.planned_cost.expected),
              low: micro(one.planned_cost.low),
              high: micro(one.planned_cost.worst),
              colour: "var(--base)",
              square: true,
            }
          : null,
        {
          name: `${one.phase}, spent`,
          mean: micro(one.spent),
          low: null,
          high: null,
          colour: "var(--accent)",
        },
      ].filter(Boolean),
    ),
  });
};

const money = (story) =>
  section(
    "money",
    "Money",
    moneyTold(story.money, story.phases),
    moneyRows(story.phases),
    story.phases.length ? phasesTable(story.phases) : null,
  );

const lineage = (story) =>
  section(
    "lineage",
    "Lineage",
    "Where every model comes from: enough to check the chain, or to repeat it elsewhere.",
    story.steps.length
      ? h(
          "ol",
          { class: "steps" },
          story.steps.map((step) =>
            h(
              "li",
              {},
              h(
                "h3",
                {},
                step.iteration ? `Iteration ${step.iteration}` : "Warm-up: the model of iteration 0",
                step.iteration === story.champion ? h("span", { class: "badge" }, "champion") : null,
              ),
              h(
                "dl",
                {},
                [
                  ["model", step.model],
                  ["trained from", step.start],
                  ["dataset, SHA-256", step.dataset],
                  ["file", step.file],
                  ["job", step.job],
                  ["trained tokens", step.trained_tokens === null ? "not told" : count(step.trained_tokens)],
                  [
                    "hyperparameters",
                    Object.entries(step.hyperparameters)
                      .filter(([, v]) => v !== null)
                      .map(([k, v]) => `${k} = ${v}`)
                      .join(", ") || "the provider's choice",
                  ],
                  ["seed", step.seed],
                  ["decided", step.gate],
                ]
                  .filter(([, value]) => value !== "")
                  .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "code" }, value))),
              ),
            ),
          ),
        )
      : h("p", {}, "No model has been trained yet."),
    h("h3", {}, "The run"),
    h(
      "dl",
      { class: "origin" },
      [["began", day(story.began_at)], ...Object.entries(story.origin)].map(([name, value]) =>
        h("div", {}, h("dt", {}, name), h("dd", { class: "code" }, value)),
      ),
    ),
    folded("All settings", () =>
      table(
        "Settings, as they were frozen when the run began",
        ["key", "value"],
        Object.entries(story.settings).map((cells) => ({ cells })),
      ),
    ),
  );
