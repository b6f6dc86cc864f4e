// Where the figures and the trajectories come from: blocks of this page, or the server that shows a run.

const bytesOf = (text) => {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
};

const unpack = async (text) => {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
};

const fetched = async (path) => {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.text();
};

const embedded = {
  begin: async () => unpack(at("story").textContent),
  chapter: async (number) => unpack(at(`chapter-${number}`).textContent),
};

const served = (place) => {
  let version = "0";
  return {
    begin: async () => {
      const found = await unpack(await fetched(`${place}/data`));
      version = found.version;
      return found;
    },
    chapter: async (number) => unpack(await fetched(`${place}/chapter/${version}/${number}`)),
  };
};

// Chapters in use; the oldest is forgotten, for a phone's memory is small.
const library = (chapter) => {
  const open = new Map();
  return (number) => {
    const found = open.get(number) || chapter(number);
    open.delete(number);
    open.set(number, found);
    if (open.size > 6) open.delete(open.keys().next().value);
    return found;
  };
};

// Every trajectory as one row of the index, in the order of the groups.
const rowsOf = (groups) =>
  groups.flatMap((group) =>
    group.scenario.map((scenario, place) => ({
      group,
      place,
      scenario,
      split: group.split,
      iteration: group.iteration,
      who: group.name || "",
      course: group.course || "",
      trajectory: group.trajectory[place],
      regret: group.regret[place],
      reward: group.reward[place],
      valid: group.valid[place],
      why: group.why[place],
      rank: group.rank[place],
      strip: group.strip[place],
      told: group.told[place],
      key: `${group.name ? `${group.name}/` : ""}${group.split}/${group.iteration}/${scenario}/${group.trajectory[place]}`,
    })),
  );

// Who played, as filters name it.
const playerOf = (row) => row.who || String(row.iteration);

const addressOf = (row) =>
  `${row.who ? row.who : `${SPLITS[row.split]}, iteration ${row.iteration}`}, scenario ${row.scenario}, trajectory ${row.trajectory}`;

// Scenarios of held-out splits are the same for every model; training draws fresh ones.
const sameScenario = (one, other) =>
  one.split === other.split &&
  one.course === other.course &&
  one.scenario === other.scenario &&
  (one.split !== "train" || one.iteration === other.iteration);

// The play behind a row: its names, rounds, running regret, and the tables it was played on.
const playOf = async (row, chapterOf) => {
  const [start, number] = row.group.chapters.findLast(([first]) => first <= row.place);
  const chapter = await chapterOf(number);
  const play = chapter.plays[row.place - start];
  const tables = chapter.tables[row.scenario];
  return {
    row,
    names: play.names,
    curve: play.curve,
    own: Boolean(play.rewards) && !play.means, // with state, what actions were worth is known
    rewards: play.rewards || tables.rewards,
    means: play.means || tables.means,
    rounds: play.rounds.map(([status, action, reply, prompt, policy]) => ({
      status,
      action,
      policy,
      told: reply >= 0,
      reply: reply < 0 ? "" : chapter.texts[reply],
      prompt: prompt.map(([role, place]) => [role, chapter.texts[place]]),
    })),
  };
};
