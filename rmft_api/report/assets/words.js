// Figures and names as people read them.

const MEASURES = {
  regret: ["Regret", "What a trajectory lost against the best play. Lower is better."],
  suff_fail_freq: [
    "SuffFailFreq",
    "Share of trajectories that never choose the best action in their second half. Lower is better.",
  ],
  k_min_frac: ["K × MinFrac", "How much the least chosen action is tried: 1 is even play, 0 never."],
  greedy_frac: ["GreedyFrac", "Share of rounds on the action that looks best so far."],
  best_share: ["Best-arm share", "Share of rounds on the best action. Higher is better."],
  answer_entropy: ["Answer entropy", "1: every position is answered alike; 0: always the same one."],
  valid: ["Readable replies", "Share of replies that could be read."],
};
const REASONS = {
  kept: "kept",
  rank: "ranked too low",
  floor: "tried too little",
  valid: "too often unreadable",
};
const SPLITS = { test: "Test", validation: "Validation", train: "Training" };
const STATES = { running: "running", interrupted: "interrupted", failed: "failed", finished: "finished" };

const known = (x) => typeof x === "number" && Number.isFinite(x);
// Two digits behind the point; figures below .095 have as many as two of their own need.
const digitsOf = (...xs) => {
  const top = Math.max(0, ...xs.filter(known).map(Math.abs));
  return top > 0 && top < 0.095 ? Math.min(6, 1 - Math.floor(Math.log10(top))) : 2;
};
const num = (x, digits = digitsOf(x)) => (known(x) ? x.toFixed(digits).replace("-", "−") : "–");
const short = (x) => (known(x) ? String(Number(x.toFixed(6))).replace("-", "−") : "–");
const count = (x) => x.toLocaleString("en");
// Ends that are null: too few scenarios to say.
const interval = (one, wanted = null) => {
  if (!one) return "–";
  const digits = wanted ?? digitsOf(one.mean, one.low, one.high);
  if (!known(one.low) || !known(one.high)) return `${num(one.mean, digits)} (too few)`;
  return `${num(one.mean, digits)} [${num(one.low, digits)}, ${num(one.high, digits)}]`;
};
const dollars = (micro) =>
  micro === null
    ? "unknown"
    : `$${(micro / 1e6).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: micro % 10000 ? 4 : 2 })}`;
const day = (ms) => new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const iterationName = (index) => (index ? `Iteration ${index}` : "Base");
// The problems' environments: their labels are longer than any place for them.
const kindsOf = (labels) => [...new Set(labels.map((label) => label.split(" ")[0]))];
const playerName = (player) =>
  player.index === null
    ? player.name + (player.only?.length ? ` (${kindsOf(player.only).join(", ")} alone)` : "")
    : iterationName(player.index);
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
// A share of the way from the base to the limit.
const shareOf = (one) =>
  one
    ? `${num(100 * one.mean, 0)} %${known(one.low) && known(one.high) ? ` [${num(100 * one.low, 0)}, ${num(100 * one.high, 0)}]` : ""}`
    : "–";
