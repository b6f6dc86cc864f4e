// The rounds of one trajectory, or of two of one scenario side by side.

const PAGE = 100;
const labelsOfPlays = ["A", "B"];
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

const cell = (value, i, marks) =>
  h(
    "span",
    {
      class: `cell${marks.best ? " best" : ""}`,
      style: { "--share": Math.max(0, Math.min(1, value)) },
    },
    short(value),
    marks.who.map((who) => h("i", { class: `chose ${who}` }, who)),
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

const talk = (play, t, who) => {
  const round = play.rounds[t];
  if (!round) return h("div", { class: "talk" }, h("p", { class: "missing" }, "Not played any more."));
  const title = who ? h("h5", {}, `${who}: ${actionOf(play, round)}`) : null;
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

const roundOf = (plays, t) => {
  const first = plays[0];
  const values = rowOf(first.rewards, t),
    judged = rowOf(first.means, t);
  const labels = plays.length > 1 ? labelsOfPlays : ["•"];
  const marks = values.map((_, a) => ({
    best: judged[a] >= bestOf(judged) - 1e-9,
    who: labels.filter((_, i) => plays[i].rounds[t]?.action === a),
  }));
  const told = plays.map((play, i) => {
    const round = play.rounds[t];
    const name = round ? actionOf(play, round) : "–";
    const bad = !round || round.action === null ? " unread" : marks[round.action]?.best ? " good" : "";
    return h("span", { class: `did${bad}` }, plays.length > 1 ? h("b", {}, `${labels[i]} `) : null, name);
  });
  const box = h(
    "details",
    { class: "round" },
    h(
      "summary",
      {},
      h("span", { class: "t" }, h("span", { class: "hush" }, "round "), t + 1),
      h("span", { class: "acts" }, told),
      h(
        "span",
        {
          class: "cells",
          role: "img",
          "aria-label": `Rewards: ${values.map((v, a) => `${first.names[a]} ${short(v)}`).join(", ")}`,
        },
        values.map((value, a) => cell(value, a, marks[a])),
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
          plays.map((play, i) => talk(play, t, plays.length > 1 ? labels[i] : null)),
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
        plays.map((_, i) => h("span", {}, plays.length > 1 ? labelsOfPlays[i] : "regret")),
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
