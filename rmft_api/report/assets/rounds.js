// The rounds of one trajectory, or of two of one scenario side by side.

const PAGE = 100;
// Two plays are told apart by shape and colour: letters and digits may be names of actions.
const SIDES = [
  { mark: "▲", name: "First", colour: "var(--accent)", dash: null },
  { mark: "●", name: "Second", colour: "var(--rival-0)", dash: "6 4" },
];
const ALONE = { mark: "•", name: "Done", colour: "currentColor", dash: null };
const sidesOf = (plays) => (plays.length > 1 ? SIDES : [ALONE]);
const markOf = (side) =>
  h(
    "b",
    { class: "mark-of", role: "img", "aria-label": side.name, style: { color: side.colour } },
    side.mark,
  );
const rowOf = (table, t) => (table.length === 1 ? table[0] : table[t]);
const actionOf = (play, round) => (round.action === null ? "no action" : play.names[round.action]);
const STATUSES = {
  read: "",
  unreadable: "unreadable",
  empty: "empty reply",
  refused: "refused",
  cut: "cut off",
  filtered: "filtered",
};

const bestOf = (values) => Math.max(...values);

const cell = (value, marks) =>
  h(
    "span",
    {
      class: `cell${marks.best ? " best" : ""}`,
      style: { "--share": Math.max(0, Math.min(1, value)) },
    },
    short(value),
    marks.who.map(markOf),
  );

const message = (role, text) =>
  h(
    "div",
    { class: `message ${role}` },
    h("p", { class: "role" }, role),
    h("pre", { dir: "auto", tabindex: 0 }, text || "(nothing)"),
  );

const missing = () =>
  h(
    "p",
    { class: "missing" },
    "The texts of this trajectory were left out to keep this file small; rmft-api export has them.",
  );

// The rewards of one round, with what was done by the plays that met them.
const cellsOf = (plays, sides, t) => {
  const [first] = plays;
  const values = rowOf(first.rewards, t),
    judged = rowOf(first.own ? first.rewards : first.means, t);
  const best = bestOf(judged) - 1e-9;
  return h(
    "span",
    {
      class: "cells",
      role: "img",
      "aria-label": `Rewards: ${values.map((v, a) => `${first.names[a]} ${short(v)}`).join(", ")}`,
    },
    values.map((value, a) =>
      cell(value, { best: judged[a] >= best, who: sides.filter((_, i) => plays[i].rounds[t]?.action === a) }),
    ),
  );
};

const wasBest = (play, t) => {
  const judged = rowOf(play.own ? play.rewards : play.means, t);
  return judged[play.rounds[t].action] >= bestOf(judged) - 1e-9;
};

const talk = (play, t, side) => {
  const round = play.rounds[t];
  if (!round) return h("div", { class: "talk" }, h("p", { class: "missing" }, "Not played any more."));
  const title = side === ALONE ? null : h("h5", {}, markOf(side), ` ${side.name}: ${actionOf(play, round)}`);
  if (!round.told) return h("div", { class: "talk" }, title, missing());
  const status = STATUSES[round.status];
  return h(
    "div",
    { class: "talk" },
    title,
    round.prompt.map(([role, text]) => message(role, text)),
    message("assistant", round.reply),
    status ? h("p", { class: "missing" }, `This reply was ${status}; it counts as the worst action.`) : null,
    round.policy
      ? h(
          "p",
          { class: "missing" },
          `Acted from: ${round.policy.map((p, a) => `${play.names[a]} ${num(p)}`).join(", ")}`,
        )
      : null,
  );
};

const didOf = (play, t, side) => {
  const round = play.rounds[t];
  const kind = !round || round.action === null ? " unread" : wasBest(play, t) ? " good" : "";
  return h(
    "span",
    { class: `did${kind}` },
    side === ALONE ? null : [markOf(side), " "],
    round ? actionOf(play, round) : "–",
  );
};

const roundOf = (plays, t) => {
  const sides = sidesOf(plays);
  // An adversary answers each play in its own way; otherwise both met the same rewards.
  const met = plays.some((play) => play.own)
    ? plays.map((play, i) => [[play], [sides[i]]])
    : [[plays, sides]];
  const box = h(
    "details",
    { class: "round" },
    h(
      "summary",
      {},
      h("span", { class: "t" }, h("span", { class: "hush" }, "round "), t + 1),
      h(
        "span",
        { class: "acts" },
        plays.map((play, i) => didOf(play, t, sides[i])),
      ),
      h(
        "span",
        { class: "tables" },
        met.map(([some, theirs]) => cellsOf(some, theirs, t)),
      ),
      h(
        "span",
        { class: "running" },
        plays.map((play) =>
          h("span", {}, h("span", { class: "hush" }, "regret so far "), num(play.curve[t])),
        ),
      ),
    ),
  );
  box.addEventListener("toggle", () => {
    if (box.open && box.childElementCount === 1)
      box.append(
        h(
          "div",
          { class: "talks" },
          plays.map((play, i) => talk(play, t, sides[i])),
        ),
      );
  });
  return box;
};

const roundsOf = (plays) => {
  const T = Math.max(...plays.map((play) => play.curve.length));
  const box = h("div", { class: `rounds players-${plays.length}` });
  const first = plays[0];
  box.append(
    h(
      "div",
      { class: "head", "aria-hidden": "true" },
      h("span", { class: "t" }, "round"),
      h("span", { class: "acts" }, "action"),
      h(
        "span",
        { class: "cells" },
        first.names.map((name) => h("span", {}, name)),
      ),
      h(
        "span",
        { class: "running" },
        sidesOf(plays).map((side) => h("span", {}, side === ALONE ? "regret" : markOf(side))),
      ),
    ),
  );
  const more = h("button", { type: "button", class: "plain", on: { click: () => extend() } });
  let shown = 0;
  const extend = () => {
    more.remove();
    const rows = [];
    for (const end = Math.min(T, shown + PAGE); shown < end; shown++) rows.push(roundOf(plays, shown));
    box.append(...rows);
    if (shown < T) {
      more.textContent = `Show rounds ${shown + 1} to ${Math.min(T, shown + PAGE)} of ${T}`;
      box.append(more);
    }
    return rows;
  };
  extend();
  return box;
};
