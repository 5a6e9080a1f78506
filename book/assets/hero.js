// The first page: the same runs, and an exponent of the reader's choice. Needs guess.js, laws.js,
// chart.js and size_runs.js.
"use strict";

window.addEventListener("load", () => {
  const root = document.getElementById("tlm-hero");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  if (!window.TinyLM?.fitCut || !window.TinyLM.chart || !window.TinyLMSizeRuns) {
    part("missing").textContent = "The scripts of this page did not load.";
    return;
  }
  const { NO_LAW, TableError, bootstrap, fitCut, interval, lossAtSize, misfit } = window.TinyLM;
  const { make, short, shown, steps, svg, text, ticks } = window.TinyLM.chart;
  const { claims, texts, tokens } = window.TinyLMSizeRuns;
  const RESAMPLES = 400;
  const SEED = 1; // of the resamples: the same choice, the same interval
  const PAUSE_MS = 150; // after the last choice, before intervals are computed
  const NAME = "larger-model"; // of the guess, among those that guess.js keeps
  const BY_COUNT = { without: 0, with: 1 }; // places of both counts in a run
  const [LOSS, RUN_SEED] = [2, 3];
  const WIDEST_RULER = 1.2; // the exponents shown

  let guess = null; // {value, locked}
  let fitted = null; // {key, table, law, scatter, laws}
  let stop = () => {}; // ends the worker
  let pause = 0;
  let drawnWidth = 0;
  const tried = texts.map(() => new Map()); // exponents that the reader has had, by choice

  // ---- what is chosen ---------------------------------------------------------------------

  const field = (name) => root.querySelector(`[name="${name}"]`);
  const chosen = (name) => root.querySelector(`[name="${name}"]:checked`).value;
  const set = (name, value) =>
    (root.querySelector(`[name="${name}"][value="${value}"]`).checked = true);
  const runsOf = () => texts[Number(chosen("text"))];
  const column = (runs, place) => runs.map((run) => run[place]);
  const different = (values) => [...new Set(values)].sort((a, b) => a - b);
  const mean = (values) => values.reduce((a, b) => a + b) / values.length;
  const four = (value) => value.toFixed(3);
  const percent = (share) => `${(100 * Math.abs(share)).toFixed(1)} %`;

  /** The mean loss of each size: [N without embeddings, N with them, loss]. */
  const means = (runs) =>
    different(column(runs, 0)).map((n) => {
      const same = runs.filter((run) => run[0] === n);
      return [n, same[0][1], mean(column(same, LOSS))];
    });

  /** All that the reader has set. */
  function choice() {
    const about = runsOf();
    const sizes = different(column(about.runs, 0));
    const [from, to] = [Number(field("from").value), Number(field("to").value)];
    const floor = { none: 0, fitted: null, known: about.floor }[chosen("floor")];
    return {
      about,
      floor,
      ceiling: chosen("form") === "ends" ? about.ceiling : Infinity,
      count: BY_COUNT[chosen("count")],
      runs: about.runs.filter(([n]) => n >= sizes[from] && n <= sizes[to]),
      key: ["text", "floor", "form", "count"].map(chosen).concat(from, to).join(),
    };
  }

  /** What can be chosen with this text: its sizes, and a known floor if there is one. */
  function offer() {
    const about = runsOf();
    const sizes = different(column(about.runs, 0));
    for (const [name, at] of [["from", 0], ["to", sizes.length - 1]]) {
      const option = (n, i) => make("option", { value: String(i), textContent: short(n) });
      field(name).replaceChildren(...sizes.map(option));
      field(name).value = String(at);
    }
    const known = root.querySelector('[name="floor"][value="known"]');
    known.disabled = about.floor === null;
    part("unknown").hidden = !known.disabled;
    if (known.disabled && known.checked) set("floor", "fitted");
  }

  // ---- the guess --------------------------------------------------------------------------

  const target = () => means(texts[0].beyond)[0];
  const guessing = () => guess !== null && !guess.locked;

  const kept = () => window.TinyLMGuesses.kept()[NAME]?.said ?? null;

  function keep(said) {
    const { [NAME]: before, ...others } = window.TinyLMGuesses.kept();
    const { min, max, step } = field("guess");
    const [low, high] = [min, max].map(Number);
    const one = {
      title: document.querySelector("h1").firstChild.textContent.trim(),
      asked: `Loss of a model of ${short(target()[0])} parameters`,
      said, low, high, answer: target()[LOSS], log: false, step: Number(step), unit: " nats",
    };
    window.TinyLMGuesses.keep(said === null ? others : { ...others, [NAME]: one });
  }

  function lock(value) {
    guess = { value, locked: true };
    if (value !== null) keep(value);
    root.dataset.stage = "dials";
    for (const name of ["question", "guess"]) part(name).hidden = true;
    part("dials").hidden = false;
    update();
  }

  function again() {
    keep(null);
    startGuess();
    field("guess").focus();
  }

  function startGuess() {
    stop();
    set("text", "0");
    offer();
    const largest = means(texts[0].runs).at(-1)[LOSS];
    const [low, high] = [0.7 * largest, 1.05 * largest];
    const input = field("guess");
    [input.min, input.max, input.step] = [low.toFixed(2), high.toFixed(2), "0.01"];
    input.value = largest.toFixed(2);
    guess = { value: Number(input.value), locked: false };
    root.dataset.stage = "guess";
    for (const name of ["question", "guess"]) part(name).hidden = false;
    part("dials").hidden = true;
    update();
  }

  // ---- the fit ----------------------------------------------------------------------------

  /** The law of what is chosen, or a sentence that says why there is none. */
  function fit(made) {
    const cut = {
      N: column(made.runs, made.count),
      loss: column(made.runs, LOSS),
      seed: column(made.runs, RUN_SEED).map(String),
    };
    try {
      const { table, law } = fitCut(cut, made);
      return { key: made.key, table, law, scatter: misfit(table, law), laws: null };
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return { key: made.key, sentence: error.message };
    }
  }

  function update() {
    stop();
    clearTimeout(pause);
    stop = () => {};
    delete root.dataset.intervals;
    const made = choice();
    fitted = guessing() ? null : fit(made);
    if (fitted?.law) tried[Number(chosen("text"))].set(made.key, fitted.law.alpha);
    draw();
    if (fitted?.law && fitted.scatter.ratio <= NO_LAW) pause = setTimeout(resample, PAUSE_MS);
    else root.dataset.intervals = "none";
  }

  function resample() {
    const { table, law } = fitted;
    stop = bootstrap(table, law, RESAMPLES, SEED, {
      progress: () => {},
      done: (laws) => {
        fitted.laws = laws.map((one) => ({ ...one, U: law.U }));
        draw();
        root.dataset.intervals = "true";
      },
      failed: (sentence) => (part("said").textContent = sentence),
    });
  }

  // ---- words ------------------------------------------------------------------------------

  const brackets = ([low, high], digits) => `[${low.toFixed(digits)}, ${high.toFixed(digits)}]`;

  function verdict({ about, count }) {
    if (!fitted.law) return [fitted.sentence];
    const { law, scatter, laws } = fitted;
    const strong = (content) => make("strong", { textContent: content });
    const bound = laws ? ` ${brackets(interval(laws.map(({ alpha }) => alpha)), 2)}` : "";
    const floor = law.E ? `, towards a floor of ${law.E.toFixed(2)} nats` : ", with no floor";
    const holds =
      scatter.ratio > NO_LAW
        ? `Misfit ${scatter.ratio.toPrecision(2)}: the sizes lie that many times as far from the ` +
          `line as chance explains. This law does not hold here: its exponent has no interval.`
        : `Misfit ${scatter.ratio.toFixed(1)}, where 1 is what chance explains.`;
    const others = means(about.beyond).map((point) => {
      const said = lossAtSize(law, point[count]);
      return `${percent(said / point[LOSS] - 1)} too ${said > point[LOSS] ? "high" : "low"} ` +
        `at ${short(point[count])}`;
    });
    return [
      "Exponent ", strong(`${law.alpha.toFixed(2)}${bound}`), `${floor}. ${holds} `,
      `The larger models were not fitted. What the line says of them is ${others.join(", ")}.`,
    ];
  }

  function guessWords() {
    if (guess.value === null) return "";
    const [n, , loss] = target();
    const off = guess.value / loss - 1;
    const plain = fitCutOfAll();
    const theirs = lossAtSize(plain, n) / loss - 1;
    return `You said ${guess.value.toFixed(2)} for ${short(n)} parameters; it came to ` +
      `${four(loss)}. You were ${percent(off)} off, and a power law with a fitted floor ` +
      `${percent(theirs)}.`;
  }

  function fitCutOfAll() {
    const { runs } = texts[0];
    return fitCut({ N: column(runs, 0), loss: column(runs, LOSS), seed: null }).law;
  }

  // ---- pictures ---------------------------------------------------------------------------

  function scales(width, sizes, losses) {
    const height = Math.round(Math.min(330, 0.42 * width + 90));
    const [left, right, top, bottom] = [44, width - 14, 12, height - 42];
    const along = (value, [from, to]) => Math.log(value / from) / Math.log(to / from);
    const x = (n) => left + along(n, sizes) * (right - left);
    const y = (loss) => bottom - along(loss, losses) * (bottom - top);
    const share = (down) => (bottom - down) / (bottom - top);
    const lossAtY = (down) => losses[0] * (losses[1] / losses[0]) ** share(down);
    return { x, y, lossAtY, left, right, top, bottom, height, sizes, losses };
  }

  function axes({ x, y, left, right, top, bottom, sizes, losses }) {
    const middle = (top + bottom) / 2;
    return [
      ...steps(...losses).flatMap((loss) => [
        svg("line", { class: "tlm-grid", x1: left, x2: right, y1: y(loss), y2: y(loss) }),
        text(left - 6, y(loss) + 4, "end", String(loss)),
      ]),
      ...ticks(...sizes, (right - left) / 55).flatMap((n) => [
        svg("line", { class: "tlm-grid", x1: x(n), x2: x(n), y1: bottom, y2: bottom + 4 }),
        text(x(n), bottom + 17, "middle", short(n)),
      ]),
      text((left + right) / 2, bottom + 36, "middle", "parameters of the model"),
      text(12, middle, "middle", "loss", { transform: `rotate(-90 12 ${middle})` }),
    ];
  }

  const line = (points, name) =>
    svg("polyline", {
      class: name,
      points: points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "),
    });

  /** The law over all sizes, solid where it was fitted, and the middle 95 % of resamples. */
  function curve({ runs, count }, { x, y, sizes }) {
    const { law, laws } = fitted;
    const fold = sizes[1] / sizes[0];
    const places = Array.from({ length: 81 }, (_, i) => sizes[0] * fold ** (i / 80));
    const used = column(runs, count);
    const [least, most] = [Math.min(...used), Math.max(...used)];
    const at = (n) => [x(n), y(lossAtSize(law, n))];
    const parts = [
      line(places.map(at), "tlm-law tlm-beyond"),
      line([least, ...places.filter((n) => n > least && n < most), most].map(at), "tlm-law"),
    ];
    if (!laws) return parts;
    const ends = places.map((n) => interval(laws.map((one) => lossAtSize(one, n))));
    const up = ends.map(([low], i) => [x(places[i]), y(Math.max(low, 1e-3))]);
    const down = ends.map(([, high], i) => [x(places[i]), y(high)]).reverse();
    const points = [...up, ...down].map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");
    return [svg("polygon", { class: "tlm-band", points }), ...parts];
  }

  function drawPicture(made) {
    const box = part("picture");
    drawnWidth = box.clientWidth;
    const width = Math.max(280, Math.floor(drawnWidth));
    const { about, count, runs } = made;
    const all = [...about.runs, ...about.beyond];
    const n = column(all, count);
    const losses = column(all, LOSS);
    const lowest = guessing() ? Number(field("guess").min) : Math.min(...losses);
    const sizes = [0.8 * Math.min(...n), 1.35 * Math.max(...n)];
    const scale = scales(width, sizes, [0.93 * lowest, 1.05 * Math.max(...losses)]);
    const { x, y, top, bottom, height } = scale;
    const used = new Set(runs);
    const dot = (run, name) =>
      svg("circle", { class: name, cx: x(run[count]), cy: y(run[LOSS]), r: 4 });
    const dots = about.runs.map((run) =>
      dot(run, used.has(run) ? "tlm-run" : "tlm-run tlm-unused"),
    );
    const beyond = guessing() ? [] : about.beyond.map((run) => dot(run, "tlm-came"));
    const mark = about === texts[0] ? guessMark(scale, count) : [];
    const drawn = fitted?.law ? curve(made, scale) : [];
    const clip = svg("clipPath", { id: "tlm-hero-clip" }, [
      svg("rect", { x: scale.left, y: top, width: scale.right - scale.left, height: bottom - top }),
    ]);
    const inside = svg("g", { "clip-path": "url(#tlm-hero-clip)" }, drawn);
    const label =
      `Loss against parameters: ${about.runs.length} runs` +
      (fitted?.law ? `, the fitted law, and ${about.beyond.length} runs of larger models` : "");
    const picture = svg("svg", { role: "img", "aria-label": label, width, height }, [
      clip, ...axes(scale), inside, ...dots, ...beyond, ...mark,
    ]);
    if (guessing()) dragging(picture, scale);
    box.replaceChildren(picture);
  }

  /** Where the reader thinks that the larger model ends. */
  function guessMark({ x, y, top, bottom }, count) {
    if (guess.value === null) return [];
    const at = x(target()[count]);
    const [size, down] = [guessing() ? 11 : 7, y(guess.value)];
    const corners = [[at, down - size], [at + size, down], [at, down + size], [at - size, down]];
    const diamond = svg("polygon", { class: "tlm-guess", points: corners.join(" ") });
    if (!guessing()) return [diamond];
    return [
      svg("line", { class: "tlm-rail", x1: at, x2: at, y1: top, y2: bottom }),
      diamond,
      text(at, down - size - 6, "middle", `guess ${guess.value.toFixed(2)}`),
    ];
  }

  /** The mark follows a finger or a mouse. */
  function dragging(picture, { lossAtY }) {
    picture.classList.add("tlm-drag");
    const move = ({ clientY }) => {
      const { top } = picture.getBoundingClientRect();
      field("guess").value = String(lossAtY(clientY - top));
      field("guess").dispatchEvent(new Event("input", { bubbles: true }));
    };
    picture.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      move(event);
      const ends = new AbortController();
      window.addEventListener("pointermove", move, { signal: ends.signal });
      for (const name of ["pointerup", "pointercancel"]) {
        window.addEventListener(name, () => ends.abort(), { signal: ends.signal });
      }
    });
  }

  /** The exponents that the reader has had, and those that papers found. */
  function drawRuler() {
    const box = part("ruler");
    const width = Math.max(280, Math.floor(box.clientWidth));
    const [left, right, height, middle] = [12, width - 12, 92, 46];
    const x = (alpha) => left + (Math.min(alpha, WIDEST_RULER) / WIDEST_RULER) * (right - left);
    const numbers = [0, 0.2, 0.4, 0.6, 0.8, 1, 1.2].flatMap((alpha) => [
      svg("line", { class: "tlm-grid", x1: x(alpha), x2: x(alpha), y1: middle, y2: middle + 5 }),
      text(x(alpha), middle + 19, "middle", String(alpha)),
    ]);
    const papers = claims.map(([, alpha]) =>
      svg("line", { class: "tlm-claim", x1: x(alpha), x2: x(alpha), y1: 20, y2: middle }),
    );
    const [[, kaplan], ...others] = claims;
    const names = [
      text(x(kaplan), 13, "middle", "Kaplan"),
      text(x(mean(others.map(([, alpha]) => alpha))), 13, "middle", "Chinchilla"),
    ];
    const all = [...tried[Number(chosen("text"))].values()];
    const before = all.map((alpha) =>
      svg("circle", { class: "tlm-tried", cx: x(alpha), cy: middle, r: 4 }),
    );
    const { law, laws } = fitted;
    const now = [];
    if (law) now.push(svg("circle", { class: "tlm-now", cx: x(law.alpha), cy: middle, r: 7 }));
    if (laws) {
      const [low, high] = interval(laws.map(({ alpha }) => alpha)).map(x);
      now.unshift(svg("line", { class: "tlm-now", x1: low, x2: high, y1: middle, y2: middle }));
    }
    const ends = [Math.min(...all), Math.max(...all)].map((alpha) => alpha.toFixed(2));
    const many =
      all.length > 1
        ? `exponent α: ${ends[0]} to ${ends[1]} by your ${all.length} choices`
        : "exponent α";
    box.replaceChildren(
      svg("svg", { role: "img", "aria-label": `Exponents: ${many}`, width, height }, [
        svg("line", { class: "tlm-axis", x1: left, x2: right, y1: middle, y2: middle }),
        ...numbers, ...papers, ...names, ...before, ...now,
        text((left + right) / 2, middle + 38, "middle", many),
      ]),
    );
  }

  function draw() {
    const made = choice();
    drawPicture(made);
    if (guessing()) return;
    part("said").replaceChildren(...verdict(made));
    part("scored").textContent = guessWords();
    part("scored").hidden = guess.value === null;
    drawRuler();
  }

  // ---- what happens when ------------------------------------------------------------------

  const PRESETS = {
    kaplan: { floor: "none", count: "without", form: "power" },
    hoffmann: { floor: "fitted", count: "with", form: "power" },
  };

  root.addEventListener("input", ({ target: input }) => {
    if (input.name === "guess") {
      guess.value = Number(input.value);
      drawPicture(choice());
      return;
    }
    if (input.name === "text") offer();
    update();
  });
  root.addEventListener("click", ({ target: button }) => {
    const { act, preset } = button.dataset;
    if (act === "lock") lock(guess.value);
    if (act === "skip") lock(null);
    if (act === "again") again();
    if (!preset) return;
    for (const [name, value] of Object.entries(PRESETS[preset])) set(name, value);
    update();
  });
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width !== drawnWidth) draw();
  }).observe(part("picture"));

  const [n] = target();
  const largest = means(texts[0].runs).at(-1);
  for (const [name, content] of Object.entries({
    sizes: String(different(column(texts[0].runs, 0)).length),
    least: short(texts[0].runs[0][0]),
    most: short(largest[0]),
    tokens: shown(tokens / 1e6),
    times: (n / largest[0]).toFixed(0),
  })) {
    for (const place of root.querySelectorAll(`[data-fill="${name}"]`)) place.textContent = content;
  }
  part("all").hidden = false;
  startGuess();
  if (kept() !== null) lock(kept());
  root.dataset.ready = "true";
});
