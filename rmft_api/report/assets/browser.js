// The trajectory browser: filter, sort, look, compare.

const SORTS = {
  worst: ["most regret first", (a, b) => b.regret - a.regret],
  best: ["least regret first", (a, b) => a.regret - b.regret],
  place: [
    "by scenario",
    (a, b) => a.scenario - b.scenario || a.iteration - b.iteration || a.trajectory - b.trajectory,
  ],
};

const select = (label, options, change) => {
  const box = h(
    "select",
    { on: { change } },
    options.map(([value, text]) => h("option", { value }, text)),
  );
  return [h("label", {}, h("span", {}, label), box), box];
};

const reset = (box, options) => {
  const before = box.value;
  box.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  box.value = options.some(([value]) => value === before) ? before : options[0][0];
};

const trajectoryBrowser = () => {
  let rows = [],
    chapterOf = null,
    current = null,
    rival = null,
    turn = 0;
  const refresh = () => filtered();
  const [splitLabel, split] = select("Split", [["", "all"]], refresh);
  const [iterationLabel, iteration] = select("Iteration", [["", "all"]], refresh);
  const [sortLabel, sort] = select(
    "Sort",
    Object.entries(SORTS).map(([value, [text]]) => [value, text]),
    refresh,
  );
  const scenario = h("input", {
    type: "number",
    min: 0,
    inputmode: "numeric",
    placeholder: "all",
    on: { input: refresh },
  });
  const kept = h("input", { type: "checkbox", on: { change: refresh } });
  const total = h("p", { class: "total", role: "status" });
  // Another model's play of the same scenario stands beside each one that is chosen.
  const [besideLabel, beside] = select("Beside it", [["", "nothing"]], () => {
    rival = current ? partnerOf(current) : null;
    if (current) rivalsFor(current);
    show();
  });
  const [againstLabel, against] = select("Compare with", [["", "nothing"]], () => {
    rival = rows.find((row) => row.key === against.value) || null;
    show();
  });
  const view = h(
    "article",
    { class: "view", tabindex: -1, "aria-label": "Trajectory" },
    h("p", { class: "empty" }, "Choose a trajectory to read it round by round."),
  );
  const list = virtualList(
    "Trajectories",
    (row) => {
      current = row;
      const stays = !beside.value && rival && sameScenario(row, rival) && rival.key !== row.key;
      rival = stays ? rival : partnerOf(row);
      rivalsFor(row);
      show();
    },
    () => view.focus(),
  );

  const filtered = () => {
    const wanted = rows.filter(
      (row) =>
        (!split.value || row.split === split.value) &&
        (!iteration.value || playerOf(row) === iteration.value) &&
        (scenario.value === "" || row.scenario === Number(scenario.value)) &&
        (!kept.checked || row.why === "kept"),
    );
    wanted.sort(SORTS[sort.value][1]);
    total.textContent = `${count(wanted.length)} of ${plural(rows.length, "trajectory").replace("trajectorys", "trajectories")}`;
    list.show(wanted, current?.key);
  };

  const partnerOf = (row) => {
    if (!beside.value) return null;
    const those = rows.filter(
      (one) => playerOf(one) === beside.value && one.key !== row.key && sameScenario(one, row),
    );
    return those.find((one) => one.trajectory === row.trajectory) || those[0] || null;
  };

  const besideOf = (named, iterations) =>
    reset(beside, [
      ["", "nothing"],
      ...named.map((one) => [one, one]),
      ...iterations
        .filter((one) => one >= 0)
        .map((one) => [String(one), one ? `iteration ${one}` : "the base"]),
    ]);

  const rivalsFor = (row) => {
    const others = rows
      .filter((one) => one.key !== row.key && sameScenario(one, row))
      .sort((a, b) => a.regret - b.regret);
    const name = (one) =>
      `regret ${num(one.regret)}: ${one.who || `iteration ${one.iteration}`}, trajectory ${one.trajectory}${one.why === "kept" ? ", selected" : ""}`;
    against.replaceChildren(
      h("option", { value: "" }, others.length ? "nothing" : "no other of this scenario"),
      ...others.map((one) => h("option", { value: one.key }, name(one))),
    );
    against.value = rival?.key || "";
    against.disabled = !others.length;
  };

  const show = async () => {
    const mine = ++turn;
    try {
      const plays = await Promise.all([current, rival].filter(Boolean).map((row) => playOf(row, chapterOf)));
      if (mine !== turn) return;
      view.replaceChildren(...playView(plays).filter(Boolean));
      view.setAttribute("aria-label", plays.map(({ row }) => addressOf(row)).join(" beside "));
      view.dataset.shown = plays.map(({ row }) => row.key).join(" ");
    } catch (error) {
      if (mine === turn)
        view.replaceChildren(
          h("p", { class: "empty" }, `This trajectory cannot be opened: ${error.message}`),
        );
    }
  };

  const update = (groups, open) => {
    rows = rowsOf(groups);
    chapterOf = open;
    const splits = ["test", "validation", "train"].filter((one) =>
      groups.some((group) => group.split === one),
    );
    reset(split, [["", "all"], ...splits.map((one) => [one, SPLITS[one].toLowerCase()])]);
    const named = [...new Set(groups.map((group) => group.name).filter(Boolean))];
    const iterations = named.length
      ? []
      : [...new Set(groups.map((group) => group.iteration))].sort((a, b) => a - b);
    iterationLabel.firstChild.textContent = named.length ? "Player" : "Iteration";
    reset(iteration, [
      ["", "all"],
      ...named.map((one) => [one, one]),
      ...iterations.map((one) => [String(one), one < 0 ? "before the warm-up" : one ? String(one) : "0 (the base)"]),
    ]);
    scenario.max = String(Math.max(0, ...groups.map((group) => group.problems.length - 1)));
    filtered();
    besideOf(named, iterations);
    if (current) {
      current = rows.find((row) => row.key === current.key) || current;
      rivalsFor(current);
    }
  };

  const node = section(
    "trajectories",
    "Trajectories",
    "Every play. Choose a player under Beside it to read its play of the same scenario next to each one. The bar shows where it lost, from the first round to the last: the stronger the colour, the more regret. Arrow keys move through the list, Enter goes to the trajectory.",
    h(
      "div",
      { class: "filters", role: "search", "aria-label": "Filter trajectories" },
      splitLabel,
      iterationLabel,
      h("label", {}, h("span", {}, "Scenario"), scenario),
      sortLabel,
      h("label", { class: "check" }, kept, h("span", {}, "selected only")),
    ),
    h(
      "div",
      { class: "browser" },
      h("div", { class: "side" }, total, list.box),
      h("div", { class: "pane" }, h("div", { class: "beside" }, besideLabel), h("div", { class: "against" }, againstLabel), view),
    ),
  );
  // Whoever gets here finds one opened.
  new IntersectionObserver(
    (seen) => {
      if (!current && rows.length && seen.some((one) => one.isIntersecting)) list.pick(0);
    },
    { rootMargin: "200px" },
  ).observe(node);
  return { node, update };
};
