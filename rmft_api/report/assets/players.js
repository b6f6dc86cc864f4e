// Who played, how they are told apart, and the frame of a section.

const DASHES = ["6 4", "2 3", "9 3 2 3", "12 4", "4 2", "1 3"];

const paletteOf = (story) => {
  const last = Math.max(1, ...story.players.filter((p) => p.index !== null).map((p) => p.index));
  const rivals = [...new Set(story.players.filter((p) => p.index === null).map((p) => p.name))];
  const model = (index) => {
    if (index === 0) return "var(--base)";
    if (index === story.champion) return "var(--accent)";
    return `color-mix(in oklab, var(--early), var(--late) ${Math.round((100 * index) / last)}%)`;
  };
  const rival = (name) => rivals.indexOf(name) % 6;
  return {
    colour: (player) => (player.index === null ? `var(--rival-${rival(player.name)})` : model(player.index)),
    dash: (player) => (player.index === null ? DASHES[rival(player.name)] : null),
  };
};

const whole = (story, split) => story.players.filter((p) => p.split === split && p.regret);
const modelsOf = (story, split) =>
  whole(story, split)
    .filter((p) => p.index !== null)
    .sort((a, b) => a.index - b.index);
const rivalsOf = (story) => story.players.filter((p) => p.index === null);
const evaluated = (story) => (modelsOf(story, "test").length ? "test" : "validation");
// Where every model can be followed: test, unless only some were tested.
const followed = (story) =>
  modelsOf(story, "test").length === modelsOf(story, "validation").length ? "test" : "validation";
const isChampion = (story, player) => player.index !== null && player.index === story.champion;
// Below this share of readable replies a regret says little about decisions.
const MOSTLY_READ = 0.9;
const readOf = (player) => (player.index === null ? 1 : (player.measures.valid?.mean ?? 1));
const percent = (share) => `${num(100 * share, share > 0 && share < 0.01 ? 1 : 0)} %`;
const doubt = (player) => (readOf(player) < MOSTLY_READ ? ` · ${percent(readOf(player))} readable` : "");
const named = (story, player) =>
  playerName(player) + (isChampion(story, player) ? " (champion)" : "") + doubt(player);
// Says under a chart of regrets whose cannot be trusted; null where all can.
const unreadNote = (players) => {
  const few = players.filter((p) => readOf(p) < MOSTLY_READ);
  const told = few.map((p) => `${playerName(p)}, ${SPLITS[p.split].toLowerCase()} (${percent(readOf(p))})`);
  return few.length
    ? h(
        "p",
        { class: "warning" },
        h("b", {}, "Few replies could be read of: "),
        `${told.join("; ")}. Each other one counts as the worst action, so these regrets say little about decisions.`,
      )
    : null;
};

const section = (id, title, lead, ...content) =>
  h(
    "section",
    { id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    lead ? h("p", { class: "lead" }, lead) : null,
    ...content,
  );
