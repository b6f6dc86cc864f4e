// One trajectory, or two of one scenario.

const summaryOf = (play, side) => {
  const { row } = play;
  const verdict = row.why
    ? row.why === "kept"
      ? `selected, rank ${row.rank}`
      : `not selected: ${REASONS[row.why]}${row.rank ? `, rank ${row.rank}` : ""}`
    : null;
  const facts = [
    ["regret", num(row.regret)],
    ["mean reward", num(row.reward)],
    ["readable", `${num(100 * row.valid, 0)} %`],
    verdict ? ["selection", verdict] : null,
    ["model", row.group.model],
  ];
  return h(
    "div",
    { class: "summary" },
    h(
      "h4",
      {},
      side === ALONE ? null : [markOf(side), " "],
      addressOf(row),
      row.why === "kept" ? h("span", { class: "badge" }, "selected") : null,
    ),
    h(
      "dl",
      {},
      facts.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  );
};

const playView = (plays) => {
  const { row } = plays[0];
  const sides = sidesOf(plays);
  const names = plays[0].names;
  const means =
    plays[0].means.length === 1
      ? names.map((name, a) => `${name} ${short(plays[0].means[0][a])}`).join(", ")
      : null;
  const lines = chart({
    small: true,
    title: "Running regret",
    x: { label: "round" },
    y: { label: "regret so far" },
    series: plays.map((play, i) => ({
      name: plays.length > 1 ? sides[i].name : "Regret",
      colour: SIDES[i].colour,
      dash: sides[i].dash,
      width: 2.5,
      points: play.curve.map((mean, t) => ({ x: t + 1, mean, low: null, high: null })),
    })),
  });
  return [
    h(
      "p",
      { class: "problem" },
      row.group.problems[row.scenario],
      means ? h("span", {}, ` · mean rewards: ${means}`) : null,
    ),
    h(
      "div",
      { class: "summaries" },
      plays.map((play, i) => summaryOf(play, sides[i])),
    ),
    plays.length > 1 ? key(sides.map((side) => ({ ...side, name: `${side.mark} ${side.name}` }))) : null,
    lines,
    h(
      "p",
      { class: "hint" },
      "Rewards of all actions stand in each round, told or not. ",
      h("b", {}, "Framed"),
      ": best on average in that round. ",
      plays.length > 1 ? "▲ and ● mark what each did. " : "The dot marks what was done. ",
      "Open a round for its prompt and reply.",
    ),
    h(
      "p",
      { class: "tools" },
      ...["Open all rounds", "Close all"].map((text, i) =>
        h(
          "button",
          {
            type: "button",
            class: "plain",
            on: {
              click: (event) => {
                for (const one of event.currentTarget.closest(".view").querySelectorAll("details.round"))
                  one.open = !i;
              },
            },
          },
          text,
        ),
      ),
    ),
    roundsOf(plays),
  ];
};
