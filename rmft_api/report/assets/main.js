// Putting the page together, once or again and again while a run proceeds.

const NAMES = {
  glance: "At a glance",
  iterations: "Iterations",
  rounds: "Rounds",
  differences: "Differences",
  axes: "Kinds of scenarios",
  runs: "Runs",
  seeds: "Over all seeds",
  cells: "Cells",
  family: "Families",
  grid: "Grids",
  run: "Runs",
  evaluation: "Evaluations",
  page: "Pages",
  log: "Log",
  exploration: "Exploration",
  selection: "Selection",
  money: "Money",
  lineage: "Lineage",
  trajectories: "Trajectories",
};

const RUN = [glance, byIteration, byRound, paired, offPolicy, exploration, selection, money, lineage];
const browser = trajectoryBrowser();

const tellState = ({ state, stage }) => {
  const text = `${STATES[state]}${stage ? `: ${stage}` : ""}`;
  at("state").replaceChildren(h("span", { class: `dot is-${state}` }), text);
  at("state").title = text; // where the bar has no room for all of it
};

// What a reader has opened, where the keyboard is and how far the page is scrolled outlast an update.
const remembered = () => {
  const inSections = (query) => [...document.querySelectorAll(`main > section:not(#trajectories) ${query}`)];
  const sign = (box) =>
    `${box.closest("section").id}|${box.closest("figure")?.querySelector("h3").textContent}|${box.firstElementChild.textContent}`;
  const open = new Set(inSections("details[open]").map(sign));
  const focusable = () => inSections("button, summary, svg[tabindex], .wide");
  const place = focusable().indexOf(document.activeElement);
  const top = window.scrollY,
    main = at("main");
  main.style.minHeight = `${main.offsetHeight}px`;
  return () => {
    for (const box of inSections("details")) if (open.has(sign(box))) box.open = true;
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        main.style.minHeight = "";
        if (place >= 0) focusable()[place]?.focus({ preventScroll: true });
        window.scrollTo({ top, behavior: "instant" });
      }),
    );
  };
};

const render = ({ story, groups }, chapterOf) => {
  if (!story) return;
  const makers = { compared: COMPARED, index: INDEX }[story.kind] || RUN;
  const sections = makers.map((make) => make(story)).filter(Boolean);
  const main = at("main");
  const restore = remembered();
  browser.update(groups, chapterOf);
  for (const old of [...main.children]) if (old !== browser.node) old.remove();
  if (!browser.node.isConnected) main.append(browser.node);
  const last = sections.findIndex((one) => one.id === "money");
  const tail = last < 0 ? sections.length : last;
  browser.node.before(...sections.slice(0, tail));
  browser.node.after(...sections.slice(tail));
  browser.node.hidden = !groups.length;
  const ids = [...main.children].filter((one) => !one.hidden).map((one) => one.id);
  at("nav").replaceChildren(
    h(
      "ul",
      {},
      ids.map((id) => h("li", {}, h("a", { href: `#${id}` }, NAMES[id]))),
    ),
  );
  tellState(story);
  at("made").textContent =
    `Made ${day(story.made_at)} from the journals of its runs. ${document.body.dataset.live ? "This page follows its runs while rmft-api serves it." : "This page asks nobody anything; it can be kept, sent and opened without a network."}`;
  document.title = `${story.run}: ${story.headline.title}`;
  restore();
};

const refuse = (text) => {
  at("waiting")?.remove();
  at("main").prepend(h("p", { class: "warning", role: "alert" }, text));
};

const start = async () => {
  const live = document.body.dataset.live;
  if (typeof DecompressionStream === "undefined") {
    refuse(
      "This browser cannot unpack the report: it has no DecompressionStream. Any Chrome or Edge since 2023, Firefox since 113 or Safari since 16.4 has one.",
    );
    return;
  }
  const source = live ? served(live) : embedded;
  at("waiting").hidden = false;
  const load = async () => {
    const found = await source.begin();
    render(found, library(source.chapter));
    return found.version;
  };
  let version;
  try {
    version = await load();
  } catch (error) {
    refuse(
      `The report cannot be opened: ${error.message}. Its file may be incomplete; write it again with rmft-api report.`,
    );
    return;
  }
  document.body.dataset.ready = "yes";
  if (live) follow(live, load, version);
};

const follow = (live, load, version) => {
  const news = new EventSource(`${live}/events/${version}`);
  const tell = (text) => at("state").replaceChildren(text);
  let working = Promise.resolve();
  news.addEventListener("data", () => {
    working = working
      .then(load)
      .catch((error) => tell(`this page could not be brought up to date: ${error.message}`));
  });
  news.addEventListener("state", (event) => tellState(JSON.parse(event.data)));
  news.addEventListener("end", () => news.close());
  news.onerror = () => tell("the server that shows this run does not answer; this page stays as it is");
};

start();
