// The page on which a reader's table is fitted: book/fit.md. Needs laws.js, chart.js and
// example_table.js.
"use strict";

window.addEventListener("load", () => {
  const root = document.getElementById("tlm-fit");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  if (!window.TinyLM?.fitSurface || !window.TinyLMExampleTable) {
    part("missing").textContent = "The scripts of this page did not load.";
    return;
  }
  const {
    MOST, NO_LAW, POWER, SUM, TableError,
    bootstrap, checkSeeds, doubts, farOff, fitSurface, general, interval, lossAt, misfit, optimal,
    readTable,
  } = window.TinyLM;
  const { make, short, shown, steps, svg, text, ticks, typed } = window.TinyLM.chart;
  const RESAMPLES = 1000;
  const SEED = 1; // of the resamples: the same table, the same intervals
  const MANY_FAILED = 0.05; // share of resamples
  const PAUSE_MS = 250; // after the last key, before a table is read
  const LARGEST_FILE = 5e6; // bytes
  const LABELS = { E: "E", A: "A", alpha: "α", B: "B", beta: "β", g: "g" };
  const FORM_NAMES = { [POWER]: "the sum raised to a power", [SUM]: "the sum" };

  let fitted = null; // {text, form, table, surface, scatter, laws}; laws are null until they come
  let stop = () => {}; // ends the worker
  let pause = 0; // before a text is read
  let drawnWidth = 0; // of the picture

  const field = (name) => root.querySelector(`[name="${name}"]`);
  const form = () => root.querySelector('[name="form"]:checked').value;
  const say = (text) => {
    if (part("said").textContent !== text) part("said").textContent = text;
  };

  // ---- words ------------------------------------------------------------------------------

  const four = (value) => shown(value, 4);
  const percent = (share) => `${Number((100 * share).toPrecision(2))} %`;

  /** The interval of what each resample's law tells, or what stands for it. */
  function sure(of, write = shown) {
    if (fitted.scatter.ratio > NO_LAW) return "";
    if (!fitted.laws) return "…";
    const [low, high] = interval(fitted.laws.map(of)).map((end) => write(end));
    return `[${low},\u00a0${high}]`;
  }

  /** L(N, D) with the constants filled in. */
  function formula({ E, A, alpha, B, beta, g, form: name }) {
    const power = (value) => make("sup", { textContent: shown(value) });
    const sum = [`${shown(A, 4)}/N`, power(alpha), ` + ${shown(B, 4)}/D`, power(beta)];
    const start = `L = ${shown(E, 4)} + `;
    return name === SUM ? [start, ...sum] : [start, "(", ...sum, ")", power(g)];
  }

  /** Which of N and D lies beyond those of all runs. */
  function beyond(n, d) {
    const { N, D } = fitted.table;
    return [["N", n, N], ["D", d, D]]
      .filter(([, value, all]) => value < Math.min(...all) || value > Math.max(...all))
      .map(([name]) => name);
  }

  const flops = ({ N, D }) => 6 * N.reduce((most, n, i) => Math.max(most, n * D[i]), 0);

  /** How many runs there are, and what stood for the loss of those left out. */
  function counted({ N, leftOut }) {
    const total = [...leftOut.values()].reduce((a, b) => a + b, 0);
    if (!total) return `${N.length} runs`;
    const words = [...leftOut].slice(0, 3).map(([word, n]) => `${n} with ${word || "nothing"}`);
    return `${N.length} runs, ${total} without a finite loss left out (${words.join(", ")})`;
  }

  /** All that should make a reader careful. */
  function warnings({ table, surface, scatter, laws }) {
    const found = [];
    if (scatter.ratio > NO_LAW) {
      found.push(
        `The misfit is ${scatter.ratio.toFixed(1)}, above ${NO_LAW}: this form does not hold on ` +
          `these runs. Its constants cannot be trusted, and have no intervals.`,
      );
    }
    if (!scatter.bySeeds && table.seed) {
      found.push("Seeds tell no noise: there are too few repeats, or they are copies of one run.");
    }
    found.push(...doubts(table));
    for (const { run, share } of farOff(table, surface, scatter.ratio)) {
      const [n, d, loss] = [table.N, table.D, table.loss].map((values) => values[run]);
      found.push(
        `The run with N = ${shown(n)}, D = ${shown(d)} and loss ${shown(loss, 5)} lies ` +
          `${percent(share)} off, far more than most; is it right?`,
      );
    }
    if (!surface.converged) found.push("The search did not converge; do not use these constants.");
    for (const bound of surface.bounds) found.push(`${bound}, the end of what is allowed.`);
    const failed = (laws ?? []).filter(({ converged }) => !converged).length;
    if (failed > MANY_FAILED * RESAMPLES) {
      found.push(`${failed} of ${RESAMPLES} resamples did not converge.`);
    }
    return found;
  }

  // ---- tables -----------------------------------------------------------------------------

  function table(caption, head, rows) {
    return make("table", {}, [
      make("caption", { textContent: caption }),
      make("thead", {}, [
        make("tr", {}, head.map((text) => make("th", { scope: "col", textContent: text }))),
      ]),
      make("tbody", {}, rows.map(([first, ...others]) =>
        make("tr", {}, [
          make("th", { scope: "row", textContent: first }),
          ...others.map((lines) =>
            make("td", {}, lines.map((text) => make("div", { textContent: text }))),
          ),
        ]),
      )),
    ]);
  }

  function drawConstants() {
    const { surface, scatter } = fitted;
    const names = Object.keys(LABELS).filter((name) => name !== "g" || surface.form === POWER);
    const gone = new Set(["A", "B"].filter((name) => surface[name] === 0));
    const untold = new Set([
      ...(gone.has("A") ? ["alpha"] : []),
      ...(gone.has("B") ? ["beta"] : []),
      ...(gone.size ? ["g"] : []),
    ]);
    const rows = names.map((name) => {
      if (untold.has(name)) return [LABELS[name], ["–"], ["the runs do not tell"]];
      if (gone.has(name)) return [LABELS[name], ["0"], ["on its bound"]];
      return [LABELS[name], [shown(surface[name])], [sure((law) => law[name]) || "none"]];
    });
    if (!gone.size) {
      const share = ({ alpha, beta }) => beta / (alpha + beta);
      rows.push(["a of the best N ∝ Cᵃ", [shown(share(surface))], [sure(share) || "none"]]);
    }
    const told = scatter.ratio > NO_LAW ? "" : "; intervals from the scatter of seeds";
    const how = scatter.bySeeds
      ? `misfit ${scatter.ratio.toFixed(1)}${told}`
      : "intervals from random weights on the settings";
    const head = ["constant", "value", "95 % interval"];
    part("constants").replaceChildren(table(`Constants: ${how}`, head, rows));
  }

  /** The number in a field, what stands there if it is empty, or null if it is none. */
  function asked(name, otherwise) {
    const input = field(name);
    input.placeholder = typed(otherwise);
    const text = input.value.trim();
    const value = text ? Number(text) : otherwise;
    const good = value >= 1 && value <= (name === "C" ? 1e60 : MOST);
    input.setAttribute("aria-invalid", String(!good));
    return good ? value : null;
  }

  function drawAnswers() {
    const { table: runs, surface } = fitted;
    const largest = flops(runs);
    const [n, d] = [asked("N", Math.max(...runs.N)), asked("D", Math.max(...runs.D))];
    if (n === null || d === null) {
      part("prediction").textContent = `N and D are numbers from 1 to ${shown(MOST)}, such as 1e9.`;
    } else {
      const times = (6 * n * d) / largest;
      const out = beyond(n, d).join(" and ");
      const ends = sure((law) => lossAt(law, n, d), four);
      const said = `${four(lossAt(surface, n, d))} ${ends}`.trim();
      const sentence = [
        `At N = ${shown(n)} and D = ${shown(d)} the law says ${said} nats per token`,
        times > 1.001 ? `${shown(times)} times the compute of the largest run` : "",
        out && `beyond the ${out} of all runs`,
      ];
      part("prediction").textContent = `${sentence.filter(Boolean).join(", ")}.`;
    }
    const budget = asked("C", 10 * largest);
    part("best").replaceChildren();
    part("other").textContent = "";
    if (budget === null) {
      part("best").textContent = "The budget is a number of FLOPs from 1 on, such as 1e20.";
    } else if (!surface.hasOptimum) {
      part("best").textContent = "A law without both terms has no best N for a budget.";
    } else {
      drawBest(budget, largest);
      part("other").textContent = otherForm(budget);
    }
  }

  function drawBest(budget, largest) {
    const bests = [largest, budget].map((C) => ({ C, ...optimal(fitted.surface, C) }));
    const row = (name, of, write) => [
      name,
      ...bests.map((best) => [
        write(of(best)),
        ...[sure((law) => of(optimal(law, best.C)), write)].filter(Boolean),
      ]),
    ];
    const rows = [
      row("N", ({ N }) => N, short),
      row("D", ({ D }) => D, short),
      row("loss", ({ loss }) => loss, four),
      row("tokens per parameter", ({ N, D }) => D / N, shown),
      ["beyond all runs", ...bests.map(({ N, D }) => [beyond(N, D).join(" and ") || "neither"])],
    ];
    const head = ["of the best run", `largest run, ${shown(largest)}`, `budget, ${shown(budget)}`];
    const more = fitted.scatter.ratio > NO_LAW ? "" : ", with 95 % intervals";
    part("best").append(table(`Best use of C FLOPs${more}`, head, rows));
  }

  /** The same runs under the other form. */
  function otherForm(budget) {
    const { other } = fitted;
    if (!other) return "";
    const best = other.hasOptimum ? `, best loss ${four(optimal(other, budget).loss)}` : "";
    const doubt = other.bounds.length ? ` (${other.bounds.join(", ")})` : "";
    return (
      `Under the other form, ${FORM_NAMES[other.form]}, the runs lie ${percent(other.rms)} away` +
      `${best} at C = ${shown(budget)}${doubt}.`
    );
  }

  // ---- the picture ------------------------------------------------------------------------

  const SAME = 0.05; // gap in log D, or in log C, below which runs share a curve
  const MOST_CURVES = 8;

  /** Places from top to bottom, moved apart to at least `gap`, none below `floor`. */
  function apart(places, gap, floor) {
    const order = [...places.keys()].sort((a, b) => places[a] - places[b]);
    const moved = [...places];
    order.forEach((k, i) => i && (moved[k] = Math.max(moved[k], moved[order[i - 1]] + gap)));
    order.reverse().forEach((k, i) => {
      moved[k] = Math.min(moved[k], i ? moved[order[i - 1]] - gap : floor);
    });
    return moved;
  }

  /** Values that lie within SAME of each other, as one: the middle of each such group, rising. */
  function groups(values) {
    const logs = values.map(Math.log).sort((a, b) => a - b);
    const found = [[]];
    logs.forEach((log, i) => {
      if (i && log - logs[i - 1] > SAME) found.push([]);
      found.at(-1).push(log);
    });
    return found.map((group) => Math.exp(group.reduce((a, b) => a + b) / group.length));
  }

  /**
   * The family of curves that the runs lie on: of one D each, or of one budget C each, where runs
   * have few of these; else of some D between the least and the most.
   */
  function family({ N, D }) {
    const flops = N.map((n, i) => 6 * n * D[i]);
    const at = { D: (n, d) => d, C: (n, c) => c / (6 * n) };
    for (const [name, values] of [["D, tokens", D], ["C, FLOPs", flops]]) {
      const levels = groups(values);
      if (levels.length <= MOST_CURVES) return { name, values, levels, tokens: at[name[0]] };
    }
    const [low, high] = [Math.min(...D), Math.max(...D)];
    const levels = Array.from({ length: 6 }, (_, i) => low * (high / low) ** (i / 5));
    return { name: "D, tokens", values: D, levels, tokens: at.D, between: true };
  }

  /** The curves of a family, each [[N, loss], …] over the sizes that its runs have. */
  function curvesOf({ levels, tokens, name, values }, nearest, { N }) {
    const all = [Math.min(...N), Math.max(...N)];
    return levels.map((level, k) => {
      const own = N.filter((_, i) => nearest(values[i]) === k);
      const [least, most] = name.startsWith("C") ? [Math.min(...own), Math.max(...own)] : all;
      const sizes = Array.from({ length: 61 }, (_, i) => least * (most / least) ** (i / 60));
      return sizes.map((n) => [n, lossAt(fitted.surface, n, tokens(n, level))]);
    });
  }

  /** Lines and numbers of both axes, and their names. */
  function axes({ x, y, left, right, top, bottom, sizes, losses }, name) {
    const middle = (top + bottom) / 2;
    return [
      ...steps(...losses).flatMap((loss) => [
        svg("line", { class: "tlm-grid", x1: left, x2: right, y1: y(loss), y2: y(loss) }),
        text(left - 6, y(loss) + 4, "end", String(loss)),
      ]),
      ...ticks(sizes[0] * 0.999, sizes[1] * 1.001, (right - left) / 55).flatMap((n) => [
        svg("line", { class: "tlm-grid", x1: x(n), x2: x(n), y1: bottom, y2: bottom + 4 }),
        text(x(n), bottom + 17, "middle", short(n)),
      ]),
      text((left + right) / 2, bottom + 38, "middle", "N, parameters"),
      text(12, middle, "middle", "loss, nats per token", { transform: `rotate(-90 12 ${middle})` }),
      text(right + 46, 12, "end", name),
    ];
  }

  /** Where N and losses lie in a picture of some width. */
  function scales(width, sizes, losses) {
    const height = Math.min(420, Math.round(0.5 * width) + 90);
    const [left, right, top, bottom] = [46, width - 48, 26, height - 44];
    const along = (value, [from, to]) => Math.log(value / from) / Math.log(to / from);
    const x = (n) => left + 8 + along(n, sizes) * (right - left - 16);
    const y = (loss) => bottom - along(loss, losses) * (bottom - top);
    return { x, y, left, right, top, bottom, sizes, losses, height };
  }

  function drawPicture() {
    const { table: runs } = fitted;
    const box = part("picture");
    drawnWidth = box.clientWidth;
    const width = Math.max(280, Math.floor(drawnWidth));
    const drawn = family(runs);
    const { name, levels, values } = drawn;
    const nearest = (value) => {
      const off = levels.map((level) => Math.abs(Math.log(value / level)));
      return off.indexOf(Math.min(...off));
    };
    const curves = curvesOf(drawn, nearest, runs);
    const all = [...runs.loss, ...curves.flat().map(([, loss]) => loss)];
    const losses = [0.98 * Math.min(...all), 1.02 * Math.max(...all)];
    const scale = scales(width, [Math.min(...runs.N), Math.max(...runs.N)], losses);
    const { x, y, bottom, height } = scale;
    const style = (k) => `--hue: ${265 - (235 * k) / Math.max(1, levels.length - 1)}`;
    const ends = curves.map((curve) => y(curve.at(-1)[1]));
    const labels = apart(ends, 13, bottom - 2);
    const lines = curves.flatMap((curve, k) => {
      const points = curve.map(([n, loss]) => `${x(n).toFixed(1)},${y(loss).toFixed(1)}`);
      const level = { class: "tlm-level", style: style(k) };
      return [
        svg("polyline", { class: "tlm-curve", style: style(k), points: points.join(" ") }),
        text(x(curve.at(-1)[0]) + 8, labels[k] + 4, "start", short(levels[k]), level),
      ];
    });
    const dots = runs.N.map((n, i) => {
      const place = { cx: x(n).toFixed(1), cy: y(runs.loss[i]).toFixed(1), r: 3 };
      return svg("circle", { class: "tlm-run", style: style(nearest(values[i])), ...place });
    });
    const label =
      `Loss against N: ${runs.N.length} runs as points, and the law as a curve for each ` +
      `${name}: ${levels.map(short).join(", ")}`;
    const frame = { role: "img", "aria-label": label, width, height };
    box.replaceChildren(svg("svg", frame, [...axes(scale, name), ...lines, ...dots]));
    part("colours").textContent = drawn.between
      ? "A point has the colour of the curve whose D is nearest to its own."
      : "";
  }

  // ---- what happens when ------------------------------------------------------------------

  function draw() {
    const { table: runs, surface } = fitted;
    part("found").hidden = false;
    drawPicture();
    part("headline").replaceChildren(
      `${runs.N.length} runs lie ${percent(surface.rms)} (rms of log loss) from `,
      ...formula(surface),
    );
    part("warnings").replaceChildren(
      ...warnings(fitted).map((text) => make("li", { textContent: text })),
    );
    part("warnings").hidden = !part("warnings").children.length;
    drawConstants();
    drawAnswers();
  }

  /** Read the text of the box and fit, if text or form are others than those fitted. */
  function fit() {
    clearTimeout(pause);
    const [text, name] = [field("table").value, form()];
    if (fitted?.text === text && fitted.form === name) return;
    forget();
    try {
      const runs = readTable(text);
      checkSeeds(runs);
      const surface = fitSurface(runs, name);
      const scatter = misfit(runs, surface);
      const other = fittedOr(runs, name === SUM ? POWER : SUM);
      fitted = { text, form: name, table: runs, surface, scatter, other, laws: null };
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      say(error.message);
      return;
    }
    draw();
    if (fitted.scatter.ratio > NO_LAW) say(`Fitted to ${counted(fitted.table)}.`);
    else resample();
  }

  /** The other form, or null where the table has too few settings for it. */
  function fittedOr(runs, name) {
    try {
      return fitSurface(runs, name);
    } catch (error) {
      if (error instanceof TableError) return null;
      throw error;
    }
  }

  /** Nothing is fitted: what is shown is of no table. */
  function forget() {
    stop();
    stop = () => {};
    fitted = null;
    part("found").hidden = true;
    part("waiting").hidden = true;
    delete root.dataset.intervals;
  }

  function resample() {
    const bar = part("waiting").querySelector("progress");
    [bar.max, bar.value] = [RESAMPLES, 0];
    part("waiting").hidden = false;
    say(`Fitted to ${counted(fitted.table)}; intervals follow.`);
    const ended = (text) => {
      part("waiting").hidden = true;
      say(text);
    };
    stop = bootstrap(fitted.table, fitted.surface, RESAMPLES, SEED, {
      progress: (n) => (bar.value = n),
      done: (laws) => {
        fitted.laws = laws;
        draw();
        const many = RESAMPLES.toLocaleString("en");
        ended(`Fitted to ${counted(fitted.table)}; intervals from ${many} resamples.`);
        root.dataset.intervals = "true";
      },
      failed: ended,
    });
  }

  /** The text of a file; some spreadsheets write UTF-16. */
  async function open(file) {
    if (!file) return;
    if (file.size > LARGEST_FILE) {
      forget();
      say(`${file.name} has more than the ${LARGEST_FILE / 1e6} MB that this page reads.`);
      return;
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    const [first, second] = bytes;
    const big = (first === 0xfe && second === 0xff) || first === 0;
    const little = (first === 0xff && second === 0xfe) || second === 0;
    const encoding = big ? "utf-16be" : little ? "utf-16le" : "utf-8";
    field("table").value = new TextDecoder(encoding).decode(bytes);
    fit();
  }

  root.addEventListener("input", ({ target }) => {
    if (target.name === "table") {
      clearTimeout(pause);
      pause = setTimeout(fit, PAUSE_MS);
    }
    if (target.name === "form") fit();
    if (["N", "D", "C"].includes(target.name) && fitted) drawAnswers();
  });
  field("file").addEventListener("change", ({ target }) => {
    open(target.files[0]);
    target.value = ""; // the text is what counts, and may change; the same file may come again
  });
  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    root.classList.add("tlm-over");
  });
  root.addEventListener("dragleave", () => root.classList.remove("tlm-over"));
  root.addEventListener("drop", (event) => {
    root.classList.remove("tlm-over");
    const [file] = event.dataTransfer.files;
    if (!file) return; // a text, which falls into the box
    event.preventDefault();
    open(file);
  });
  part("example").addEventListener("click", () => {
    field("table").value = window.TinyLMExampleTable;
    fit();
  });
  new ResizeObserver(([{ contentRect }]) => {
    if (fitted && contentRect.width !== drawnWidth) drawPicture();
  }).observe(part("picture"));

  /** Everything by what the form says, which a browser may have restored. */
  function sync() {
    if (!field("table").value) field("table").value = window.TinyLMExampleTable;
    fit();
    if (fitted) drawAnswers();
    root.dataset.ready = "true";
  }
  part("all").hidden = false;
  sync();
  window.addEventListener("pageshow", () => setTimeout(sync));
});
