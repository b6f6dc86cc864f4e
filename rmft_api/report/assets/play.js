// One trajectory, or two of one scenario side by side, round by round.

const PAGE = 100;
const rowOf = (table, t) => (table.length === 1 ? table[0] : table[t]);
const actionOf = (play, round) => (round.action === null ? "no action" : play.names[round.action]);
const STATUSES = { read: "", unreadable: "unreadable", empty: "empty reply", refused: "refused", cut: "cut off", filtered: "filtered" };

const bestOf = (values) => Math.max(...values);

const cell = (value, i, marks) => h("span", {
  class: `cell${marks.best ? " best" : ""}`, style: { "--share": Math.max(0, Math.min(1, value)) },
}, short(value), marks.who.map((who) => h("i", { class: `chose ${who}` }, who)));

const message = (role, text) => h("div", { class: `message ${role}` }, h("p", { class: "role" }, role), h("pre", { dir: "auto", tabindex: 0 }, text || "(nothing)"));

const missing = () => h("p", { class: "missing" }, "The texts of this trajectory were left out to keep this file small; rmft-api export has them.");

const talk = (play, t, who) => {
  const round = play.rounds[t];
  if (!round) return h("div", { class: "talk" }, h("p", { class: "missing" }, "Not played any more."));
  const title = who ? h("h5", {}, `${who}: ${actionOf(play, round)}`) : null;
  if (!round.told) return h("div", { class: "talk" }, title, missing());
  const status = STATUSES[round.status];
  return h("div", { class: "talk" }, title, round.prompt.map(([role, text]) => message(role, text)),
    message("assistant", round.reply), status ? h("p", { class: "missing" }, `This reply was ${status}; it counts as the worst action.`) : null,
    round.policy ? h("p", { class: "missing" }, `Acted from: ${round.policy.map((p, a) => `${play.names[a]} ${num(p)}`).join(", ")}`) : null);
};

const roundOf = (plays, t) => {
  const first = plays[0];
  const values = rowOf(first.rewards, t), judged = rowOf(first.means, t);
  const labels = plays.length > 1 ? ["A", "B"] : ["•"];
  const marks = values.map((_, a) => ({ best: judged[a] >= bestOf(judged) - 1e-9, who: labels.filter((_, i) => plays[i].rounds[t]?.action === a) }));
  const told = plays.map((play, i) => {
    const round = play.rounds[t];
    const name = round ? actionOf(play, round) : "–";
    const bad = !round || round.action === null ? " unread" : marks[round.action]?.best ? " good" : "";
    return h("span", { class: `did${bad}` }, plays.length > 1 ? h("b", {}, `${labels[i]} `) : null, name);
  });
  const box = h("details", { class: "round" }, h("summary", {},
    h("span", { class: "t" }, h("span", { class: "hush" }, "round "), t + 1),
    h("span", { class: "acts" }, told),
    h("span", { class: "cells", role: "img", "aria-label": `Rewards: ${values.map((v, a) => `${first.names[a]} ${short(v)}`).join(", ")}` }, values.map((value, a) => cell(value, a, marks[a]))),
    h("span", { class: "running" }, plays.map((play) => h("span", {}, h("span", { class: "hush" }, "regret so far "), num(play.curve[t]))))));
  box.addEventListener("toggle", () => {
    if (box.open && box.childElementCount === 1) box.append(h("div", { class: "talks" }, plays.map((play, i) => talk(play, t, plays.length > 1 ? labels[i] : null))));
  });
  return box;
};

const roundsOf = (plays) => {
  const T = Math.max(...plays.map((play) => play.curve.length));
  const box = h("div", { class: `rounds players-${plays.length}` });
  const first = plays[0];
  box.append(h("div", { class: "head", "aria-hidden": "true" }, h("span", { class: "t" }, "round"), h("span", { class: "acts" }, "action"),
    h("span", { class: "cells" }, first.names.map((name) => h("span", {}, name))), h("span", { class: "running" }, "regret so far")));
  const more = h("button", { type: "button", class: "plain", on: { click: () => extend() } });
  let shown = 0;
  const extend = () => {
    more.remove();
    const rows = [];
    for (const end = Math.min(T, shown + PAGE); shown < end; shown++) rows.push(roundOf(plays, shown));
    box.append(...rows);
    if (shown < T) { more.textContent = `Show rounds ${shown + 1} to ${Math.min(T, shown + PAGE)} of ${T}`; box.append(more); }
    return rows;
  };
  extend();
  return box;
};

const summaryOf = (play, label) => {
  const { row } = play;
  const verdict = row.why ? (row.why === "kept" ? `selected, rank ${row.rank}` : `not selected: ${REASONS[row.why]}${row.rank ? `, rank ${row.rank}` : ""}`) : null;
  const facts = [["regret", num(row.regret)], ["mean reward", num(row.reward)], ["readable", `${num(100 * row.valid, 0)} %`], verdict ? ["selection", verdict] : null, ["model", row.group.model]];
  return h("div", { class: "summary" }, h("h4", {}, label ? `${label}: ` : "", addressOf(row), row.why === "kept" ? h("span", { class: "badge" }, "selected") : null),
    h("dl", {}, facts.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
};

const playView = (plays) => {
  const { row } = plays[0];
  const colours = ["var(--accent)", "var(--rival-0)"];
  const labels = ["A", "B"];
  const names = plays[0].names;
  const means = plays[0].means.length === 1 ? names.map((name, a) => `${name} ${short(plays[0].means[0][a])}`).join(", ") : null;
  const lines = chart({
    small: true, title: "Running regret", x: { label: "round" }, y: { label: "regret so far" },
    series: plays.map((play, i) => ({ name: plays.length > 1 ? labels[i] : "Regret", colour: colours[i], dash: i ? "6 4" : null, width: 2.5, points: play.curve.map((mean, t) => ({ x: t + 1, mean, low: null, high: null })) })),
  });
  return [
    h("p", { class: "problem" }, row.group.problems[row.scenario], means ? h("span", {}, ` · mean rewards: ${means}`) : null),
    h("div", { class: "summaries" }, plays.map((play, i) => summaryOf(play, plays.length > 1 ? labels[i] : null))),
    plays.length > 1 ? key(plays.map((_, i) => ({ name: labels[i], colour: colours[i], dash: i ? "6 4" : null }))) : null,
    lines,
    h("p", { class: "hint" }, "Rewards of all actions stand in each round, told or not. ", h("b", {}, "Framed"), ": best on average. ", plays.length > 1 ? "A and B mark what each did. " : "The dot marks what was done. ", "Open a round for its prompt and reply."),
    h("p", { class: "tools" }, ...["Open all rounds", "Close all"].map((text, i) => h("button", { type: "button", class: "plain", on: { click: (event) => {
      for (const one of event.currentTarget.closest(".view").querySelectorAll("details.round")) one.open = !i;
    } } }, text))),
    roundsOf(plays),
  ];
};
