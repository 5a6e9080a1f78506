// The law of the loss fitted to a table of runs, in plain JavaScript: the rules of
// tinylm/laws/table.py, and the same minimum as tinylm/laws/surface.py.
"use strict";

/** All of it in one function, whose source a worker is made of: that works from file://, too. Needs
 * `random` of random.js. */
function lawsEngine(random) {
  const FLOPS_PER_PARAMETER_AND_TOKEN = 6;
  const SUM = "sum"; // L = E + A/N^alpha + B/D^beta
  const POWER = "power"; // L = E + (A/N^alpha + B/D^beta)^g
  const CUT = "cut"; // L = E + A/N^alpha, of runs of one D, perhaps with an upper end
  const NAMES = ["E", "A", "alpha", "B", "beta", "g"];

  // ---- a table of runs --------------------------------------------------------------------

  const COLUMNS = ["N", "D", "C", "loss", "seed"];
  const SEPARATORS = [",", ";", "\t", "|", " "];
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const ABOVE_TABLE = /^\s*$|^#|^"?sep=/i; // a blank, a comment, or Excel's own line
  const SAME_FLOPS = 0.02; // C may differ from 6·N·D by this share: steps are whole
  const MOST = 1e24; // parameters, or tokens, of a run
  const MOST_RUNS = 2000; // that a page fits while its reader waits
  const [FEWEST_PARAMETERS, FEWEST_TOKENS] = [100, 1000]; // of a run, in doubt below
  const TOKENS_PER_PARAMETER = [1e-2, 1e6]; // of a run, in doubt outside
  const HIGHEST_LOSS = 50; // nats per token, in doubt above

  /** What is wrong with a table, in one sentence for its reader. */
  class TableError extends Error {}

  /** Numbers as Python's format "g" has them. */
  function general(value, digits = 3) {
    if (value === 0 || !Number.isFinite(value)) return String(value);
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const power = Number(exponent);
    if (power >= -4 && power < digits) return String(Number(value.toPrecision(digits)));
    const sign = power < 0 ? "-" : "+";
    return `${Number(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }

  /** A header's cell as it is compared. */
  const plain = (name) => name.trim().replace(/^"+|"+$/g, "").trim().toLowerCase();

  /** Those columns of a header that count, as in COLUMNS. */
  const known = (names) =>
    names.flatMap((name) => COLUMNS.filter((column) => column.toLowerCase() === plain(name)));

  /** The quoted cell that begins at a place, and the place behind it. */
  function quoted(text, from, separator) {
    let [cell, at] = ["", from + 1];
    for (; text[at] !== '"' || text[at + 1] === '"'; at++) {
      if (at >= text.length) throw new TableError("A quote of the table is not closed.");
      if (text[at] === '"') at++;
      cell += text[at];
    }
    at++;
    while (text[at] === " " && separator !== " ") at++;
    if (at < text.length && text[at] !== separator && text[at] !== "\n") {
      throw new TableError("Something follows a quoted cell of the table; expected a separator.");
    }
    return [cell, at];
  }

  /** Rows of cells; a quoted cell may hold separators, line breaks and doubled quotes. */
  function cells(text, separator) {
    const rows = [[]];
    let [cell, at] = ["", 0];
    while (at < text.length) {
      while (text[at] === " ") at++;
      if (text[at] === '"') [cell, at] = quoted(text, at, separator);
      else {
        const from = at;
        while (at < text.length && text[at] !== separator && text[at] !== "\n") at++;
        cell = text.slice(from, at);
      }
      rows.at(-1).push(cell.trim());
      if (text[at] === "\n") rows.push([]);
      at++;
    }
    return rows.filter((row) => row.some((cell) => cell));
  }

  /** The header and the rows below it, under the separator that makes most known columns. */
  function parse(text) {
    const lines = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n").split("\n");
    const names = (line, mark) => known(line.split(mark)).length;
    const tells = (line) => Math.max(...SEPARATORS.map((mark) => names(line, mark)));
    while (lines.length && ABOVE_TABLE.test(lines[0]) && !tells(lines[0])) lines.shift();
    if (!lines.length) throw new TableError("The table is empty.");
    const separator = SEPARATORS.reduce((best, mark) =>
      names(lines[0], mark) > names(lines[0], best) ? mark : best,
    );
    const [header, ...rows] = cells(lines.join("\n"), separator);
    checkHeader(header);
    rows.forEach((row, i) => {
      if (!row.slice(header.length).some((cell) => cell)) return;
      const hint = separator === "," ? "; is a comma in a number or a word, without quotes?" : ".";
      throw new TableError(
        `Row ${i + 1} has ${row.length} fields and the header ${header.length}${hint}`,
      );
    });
    return [header, rows];
  }

  function checkHeader(header) {
    const found = known(header);
    const told = `The table has the columns ${header.join(", ").slice(0, 200)}`;
    const twice = found.find((name, i) => found.indexOf(name) < i);
    if (twice) throw new TableError(`${told}; expected ${twice} once.`);
    if (!found.includes("loss") || found.filter((name) => "NDC".includes(name)).length < 2) {
      throw new TableError(`${told}; expected loss and two of N, D and C.`);
    }
  }

  function wrongCell(name, cell, row) {
    let expected = "a positive number";
    if (/\d/.test(cell) && !NUMBER.test(cell)) {
      expected += " with a decimal point and nothing else, such as 3.21 or 7e9";
      if (name === "loss") expected += ", or a word such as diverged";
    }
    const shown = cell ? `“${cell}”` : "nothing";
    return new TableError(`Row ${row + 1} has ${name} ${shown}; expected ${expected}.`);
  }

  /**
   * A table as {N, D, loss, seed, leftOut}: an entry per run with a loss, `seed` null without such
   * a column, and how many rows had which word instead of a loss. Throws a TableError.
   */
  function readTable(text) {
    const [header, body] = parse(text);
    const lower = header.map(plain);
    const columns = Object.fromEntries(
      known(header).map((name) => {
        const place = lower.indexOf(name.toLowerCase());
        return [name, body.map((row) => row[place] ?? "")];
      }),
    );
    const rows = [];
    const leftOut = new Map();
    columns.loss.forEach((cell, row) => {
      if (NUMBER.test(cell)) rows.push(row);
      else if (/\d/.test(cell)) throw wrongCell("loss", cell, row);
      else leftOut.set(cell, (leftOut.get(cell) ?? 0) + 1);
    });
    if (!rows.length) throw new TableError("The table has no run with a finite loss.");
    if (rows.length > MOST_RUNS) {
      throw new TableError(
        `The table has ${rows.length} runs, and this page fits at most ${MOST_RUNS}; ` +
          `tinylm fit takes more.`,
      );
    }
    const numbers = (name) =>
      rows.map((row) => {
        const cell = columns[name][row];
        const value = NUMBER.test(cell) ? Number(cell) : 0;
        if (!(value > 0 && value < Infinity)) throw wrongCell(name, cell, row);
        return value;
      });
    const loss = numbers("loss");
    const { N, D } = axes(columns, numbers, rows);
    return { N, D, loss, seed: seeds(columns, rows), leftOut };
  }

  /** N and D of the runs, from two of N, D and C. */
  function axes(columns, numbers, rows) {
    const [N, D, C] = ["N", "D", "C"].map((name) => (name in columns ? numbers(name) : null));
    const found = {
      N: N ?? C.map((flops, i) => flops / (FLOPS_PER_PARAMETER_AND_TOKEN * D[i])),
      D: D ?? C.map((flops, i) => flops / (FLOPS_PER_PARAMETER_AND_TOKEN * N[i])),
    };
    if (N && D && C) {
      C.forEach((flops, i) => {
        const product = FLOPS_PER_PARAMETER_AND_TOKEN * N[i] * D[i];
        if (Math.abs(flops / product - 1) <= SAME_FLOPS) return;
        throw new TableError(
          `Row ${rows[i] + 1} has C ${general(flops, 6)}, where 6·N·D is ` +
            `${general(product, 6)}; expected the same, or no C.`,
        );
      });
    }
    for (const [name, values] of Object.entries(found)) {
      const at = values.findIndex((value) => value < 1 || value > MOST);
      if (at < 0) continue;
      throw new TableError(
        `Row ${rows[at] + 1} has ${name} = ${general(values[at])}; expected parameters, tokens ` +
          `and FLOPs themselves, not millions or PF-days of them.`,
      );
    }
    return found;
  }

  function seeds(columns, rows) {
    if (!("seed" in columns)) return null;
    const labels = rows.map((row) => columns.seed[row]);
    const at = labels.indexOf("");
    if (at < 0) return labels;
    throw new TableError(`Row ${rows[at] + 1} has no seed; expected one, or no such column.`);
  }

  /** Runs of one N and D, by their places in the table. */
  function settings({ N, D }) {
    const groups = new Map();
    N.forEach((n, i) => {
      const key = `${n},${D[i]}`;
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(i);
    });
    return [...groups.values()];
  }

  /** What makes one doubt that a table is in parameters, tokens and nats. */
  function doubts(table) {
    const { N, D, loss, seed } = table;
    const [n, d, worst] = [Math.min(...N), Math.min(...D), Math.max(...loss)];
    const ratio = median(D.map((tokens, i) => tokens / N[i]));
    const [low, high] = TOKENS_PER_PARAMETER;
    const places = settings(table).length;
    const found = [];
    if (n < FEWEST_PARAMETERS) {
      found.push(`The smallest N is ${general(n)}; is N in parameters, not in millions?`);
    }
    if (d < FEWEST_TOKENS) {
      found.push(`The smallest D is ${general(d)}; is D in tokens, not in billions?`);
    }
    if (!(low < ratio && ratio < high)) {
      const shown = general(ratio, 2);
      found.push(`The median run has ${shown} tokens per parameter; are N and D in ones?`);
    }
    if (worst > HIGHEST_LOSS) {
      found.push(`The largest loss is ${general(worst)}; is it in nats per token?`);
    }
    if (!seed && places < N.length) {
      found.push(
        `${N.length} runs have ${places} different (N, D) and no seed: those of one (N, D) count ` +
          `as one run’s worth in the intervals; name seeds in a column.`,
      );
    }
    return found;
  }

  // ---- numbers ----------------------------------------------------------------------------

  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const mean = (values) => sum(values) / values.length;
  const clip = (value, low, high) => Math.min(Math.max(value, low), high);

  /** The value below which `share` of them lie, interpolated. */
  function quantile(values, share) {
    const sorted = Float64Array.from(values).sort();
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
  }
  const median = (values) => quantile(values, 0.5);

  /** The middle 95 % of draws. */
  const interval = (draws) => [quantile(draws, 0.025), quantile(draws, 0.975)];

  /** x of matrix · x = right, by Cholesky after each column is scaled to one, plus a ridge. */
  function solve(matrix, right, ridge) {
    const k = right.length;
    const scale = right.map((_, i) => Math.sqrt(matrix[i][i]) || 1);
    const lower = right.map(() => new Float64Array(k));
    for (let i = 0; i < k; i++) {
      for (let j = 0; j <= i; j++) {
        let rest = matrix[i][j] / (scale[i] * scale[j]) + (i === j ? ridge : 0);
        for (let l = 0; l < j; l++) rest -= lower[i][l] * lower[j][l];
        lower[i][j] = i === j ? Math.sqrt(Math.max(rest, ridge || 1e-300)) : rest / lower[j][j];
      }
    }
    const x = right.map((value, i) => value / scale[i]);
    for (let i = 0; i < k; i++) {
      for (let l = 0; l < i; l++) x[i] -= lower[i][l] * x[l];
      x[i] /= lower[i][i];
    }
    for (let i = k - 1; i >= 0; i--) {
      for (let l = i + 1; l < k; l++) x[i] -= lower[l][i] * x[l];
      x[i] /= lower[i][i];
    }
    return x.map((value, i) => value / scale[i]);
  }

  // ---- the fit ----------------------------------------------------------------------------
  // A law is a row [E, a, b, alpha, beta, g, U]: L = E + P, P = (exp(a - alpha·x) +
  // exp(b - beta·y))^g, where x and y are log N and log D less their means. So its constants are far
  // less correlated. U is infinite, or an upper end, below which L = E + 1/(1/P + 1/(U - E)).

  const HUBER_DELTA = 1e-3; // in log loss: residuals beyond 0.1 % count linearly
  const ALPHA_BOUNDS = [1e-3, 5];
  const POWER_BOUNDS = [0.05, 20]; // of g
  const HIGHEST_LOG = 50; // of a term: far above any loss
  const [[LOW, HIGH], [LEAST, MOST_BENT]] = [ALPHA_BOUNDS, POWER_BOUNDS];
  const LOWER = [0, -Infinity, -Infinity, LOW, LOW, LEAST, -Infinity];
  const UPPER = [Infinity, Infinity, Infinity, HIGH, HIGH, MOST_BENT, Infinity];
  const ROW = ["E", "A", "B", "alpha", "beta", "g"]; // of a row, a and b for A and B
  const FREE = { [SUM]: [0, 1, 2, 3, 4], [POWER]: [0, 1, 2, 3, 4, 5] };
  const FIRST_POWERS = [0.1, 0.3, 1, 3]; // that a search for the power sets out from
  const EXPONENTS = Array.from({ length: 12 }, (_, i) => 0.03 * (2 / 0.03) ** (i / 11));
  const MOST_STARTS = 40; // of the grid's 144, the best
  const MAX_ITERATIONS = { [SUM]: 400, [POWER]: 2000, [CUT]: 400 };
  const FIRST_FLOORS = [0, 0.5, 0.8, 0.9, 0.95, 0.98]; // over the least loss
  const STEP_TOLERANCE = 1e-9;
  const NEAR_ZERO = 1e-6; // of E over a middling loss: where the loss falls towards 0, E is 0
  const NOTHING = 1e-9; // a part of the loss below this share of it is none
  const SMALLEST = 1e-12; // of a term at the middle of the data over the least loss
  const OFF_LINE = 0.05; // rms distance of log N and log D from a line

  /** log N and log D less their means, which are the `shifts`. */
  function logAxes({ N, D }) {
    const logs = [N, D].map((values) => values.map(Math.log));
    const shifts = logs.map(mean);
    return { z: logs.map((axis, k) => Float64Array.from(axis, (x) => x - shifts[k])), shifts };
  }

  const bent = (q, g) => (g === 1 ? q : Math.exp(Math.min(g * Math.log(q), HIGHEST_LOG)));
  const below = (room, power) => (room === Infinity ? power : 1 / (1 / power + 1 / room));

  /** Log loss of a row at each run. */
  function logLosses([E, a, b, alpha, beta, g, U], [x, y]) {
    return x.map((at, i) => {
      const power = bent(Math.exp(a - alpha * at) + Math.exp(b - beta * y[i]), g);
      return Math.log(E + below(U - E, power));
    });
  }

  /** Derivatives of log loss at (x, y) by the constants of a row. */
  function slopes([E, a, b, alpha, beta, g, U], x, y) {
    const [first, second] = [Math.exp(a - alpha * x), Math.exp(b - beta * y)];
    const q = first + second || 1;
    const power = bent(q, g);
    const excess = below(U - E, power);
    const loss = E + excess;
    const [byE, byPower] = [1 - (excess / (U - E)) ** 2, (excess / power) ** 2 || 1];
    const byQ = (byPower * g * power) / q / loss;
    const [byA, byB] = [byQ * first, byQ * second];
    return [byE / loss, byA, byB, -x * byA, -y * byB, (byPower * power * Math.log(q)) / loss];
  }

  /** Huber's loss of log residuals, each as often as its mass says: what a fit makes least. */
  function objective(row, z, logs, mass) {
    return sum(
      logLosses(row, z).map((log, i) => {
        const size = Math.abs(log - logs[i]);
        const inside = size <= HUBER_DELTA;
        return mass[i] * (inside ? 0.5 * size ** 2 : HUBER_DELTA * (size - 0.5 * HUBER_DELTA));
      }),
    );
  }

  /**
   * The best row of the sum with given exponents. A law is then linear in E and the factors: least
   * squares of relative residuals, on that set of columns which needs no negative coefficient.
   */
  function project([x, y], loss, [alpha, beta], mass) {
    const gram = [0, 1, 2].map(() => [0, 0, 0]);
    const right = [0, 0, 0];
    loss.forEach((value, i) => {
      const row = [1 / value, Math.exp(-alpha * x[i]) / value, Math.exp(-beta * y[i]) / value];
      for (let j = 0; j < 3; j++) {
        right[j] += mass[i] * row[j];
        for (let k = 0; k < 3; k++) gram[j][k] += mass[i] * row[j] * row[k];
      }
    });
    let [best, gain] = [[0, 0, 0], 0];
    for (const chosen of [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]) {
      const part = chosen.map((j) => chosen.map((k) => gram[j][k]));
      const aim = chosen.map((j) => right[j]);
      const solved = solve(part, aim, 1e-14); // two columns alike: share them
      const falls = sum(solved.map((value, at) => value * aim[at]));
      if (solved.some((value) => value < 0) || falls <= gain) continue;
      gain = falls;
      best = [0, 0, 0];
      chosen.forEach((j, at) => (best[j] = solved[at]));
    }
    const lowest = loss.reduce((a, b) => Math.min(a, b), Infinity);
    const [a, b] = best.slice(1).map((factor) => Math.log(Math.max(factor, SMALLEST * lowest)));
    return [Math.min(best[0], 0.999 * lowest), a, b, alpha, beta, 1, Infinity];
  }

  /** A row in losses that are divided by `unit`. */
  function inUnits([E, a, b, alpha, beta, g, U], unit) {
    const by = Math.log(unit) / g;
    return [E / unit, a - by, b - by, alpha, beta, g, U / unit];
  }

  /** The Newton step of the free constants that are not held. */
  function newton(matrix, gradient, free, held) {
    const moving = free.filter((k) => !held.has(k));
    const step = [0, 0, 0, 0, 0, 0, 0];
    if (!moving.length) return step;
    const part = moving.map((j) => moving.map((k) => matrix[j][k]));
    const most = Math.max(...moving.map((k) => matrix[k][k]));
    part.forEach((row, i) => (row[i] += 1e-10 * most + 1e-300));
    const downhill = moving.map((k) => -gradient[k]);
    const solved = solve(part, downhill, 0);
    moving.forEach((k, i) => (step[k] = clip(solved[i], -1, 1)));
    return step;
  }

  /**
   * One damped Newton step. Huber's own second derivative vanishes beyond delta; the damping adds a
   * multiple of the reweighted least-squares matrix, which is always positive. Constants at a bound
   * do not move further out.
   */
  function dampedStep(row, [x, y], logs, mass, free, damping) {
    const matrix = row.map(() => new Float64Array(row.length));
    const gradient = new Float64Array(row.length);
    const fitted = logLosses(row, [x, y]);
    fitted.forEach((log, i) => {
      const slope = slopes(row, x[i], y[i]);
      const residual = log - logs[i];
      const size = Math.abs(residual);
      const pull = mass[i] * clip(residual, -HUBER_DELTA, HUBER_DELTA);
      const inside = size <= HUBER_DELTA ? 1 : 0;
      const weight = mass[i] * (inside + damping / Math.max(1, size / HUBER_DELTA));
      for (const j of free) {
        gradient[j] += pull * slope[j];
        for (const k of free) matrix[j][k] += weight * slope[j] * slope[k];
      }
    });
    const low = (k) => row[k] <= LOWER[k] + (k ? 0 : NEAR_ZERO);
    const high = (k) => row[k] >= UPPER[k];
    const outward = (way) => free.filter((k) => (low(k) && way[k] < 0) || (high(k) && way[k] > 0));
    const held = new Set(outward(gradient.map((slope) => -slope)));
    // The matrix may turn a step outwards where the slope does not: that stops the others short.
    outward(newton(matrix, gradient, free, held)).forEach((k) => held.add(k));
    const step = newton(matrix, gradient, free, held);
    if (held.has(0)) step[0] = -row[0]; // onto the bound
    return step;
  }

  /** Down from a row to a minimum of the objective, which only the free constants move to. */
  function descend(start, z, loss, form, mass, free = FREE[form]) {
    const unit = median(loss);
    const logs = loss.map((value) => Math.log(value / unit));
    let row = inUnits(start, unit).map((value, k) => clip(value, LOWER[k], UPPER[k]));
    let [value, damping, converged] = [objective(row, z, logs, mass), 1, false];
    for (let i = 0; i < MAX_ITERATIONS[form] && !converged; i++) {
      const step = dampedStep(row, z, logs, mass, free, damping);
      const trial = row.map((from, k) => clip(from + step[k], LOWER[k], UPPER[k]));
      const found = objective(trial, z, logs, mass);
      const better = found <= value;
      const moved = Math.max(...free.map((k) => Math.abs(trial[k] - row[k])));
      if (better) [row, value] = [trial, found];
      damping = clip((better ? 0.2 : 10) * damping, 1e-9, 1e12);
      converged = moved < STEP_TOLERANCE && (better || damping >= 1e6);
    }
    return { row: inUnits(row, 1 / unit), value, converged };
  }

  /** The sum from the best `most` of some exponents. */
  function descendFrom(exponents, z, loss, mass, most) {
    const logs = loss.map(Math.log);
    const starts = exponents.map((pair) => project(z, loss, pair, mass));
    const valued = starts.map((row) => ({ row, value: objective(row, z, logs, mass) }));
    valued.sort((one, other) => one.value - other.value);
    return valued.slice(0, most).map(({ row }) => descend(row, z, loss, SUM, mass));
  }

  const least = (fits) => fits.reduce((best, fit) => (fit.value < best.value ? fit : best));

  /** The sum's row at another power: its Q^g is about the same. */
  const atPower = (row, g) => [row[0], ...row.slice(1, 5).map((value) => value / g), g, row[6]];

  /** Whether either term of a row is none, against the other. */
  function vanished(row) {
    const largest = Math.max(row[1], row[2]);
    if (largest === -Infinity) return [true, true];
    return [row[1], row[2]].map((log) => Math.exp(log - largest) < NOTHING);
  }

  /** The bound that a constant of a row rests on, if it does. */
  const endOf = (row, k) =>
    [LOWER[k], UPPER[k]].find((end) => Math.abs(row[k] - end) <= 1e-6 * Math.min(end, 1e9));

  /** Constants of a fit that rest on a bound; `none` says which terms are none. */
  function boundsOf(row, form, none) {
    const found = row[0] === 0 ? ["E = 0"] : [];
    none.forEach((gone, k) => gone && found.push(`${"AB"[k]} = 0`));
    for (const k of FREE[form].filter((place) => place > 2)) {
      const end = endOf(row, k);
      if (end !== undefined) found.push(`${ROW[k]} = ${end}`);
    }
    return found;
  }

  /** Raises a TableError where a table cannot tell a law's constants. */
  function check(table, form) {
    for (const [name, values] of [["N", table.N], ["D", table.D]]) {
      const different = new Set(values).size;
      if (different >= 3) continue;
      const told = `${name} has ${different === 1 ? "one value" : `${different} values`} only`;
      throw new TableError(
        `${told}, so the runs cannot tell how the loss falls with ${name}: the fit needs at ` +
          `least 3 different N and 3 different D.`,
      );
    }
    const places = settings(table).map(([i]) => [Math.log(table.N[i]), Math.log(table.D[i])]);
    const needed = FREE[form].length + 1;
    if (places.length < needed) {
      throw new TableError(
        `The runs have ${places.length} different (N, D); this form needs at least ${needed}.`,
      );
    }
    checkLine(places);
    const [low, high] = [Math.min(...table.loss), Math.max(...table.loss)];
    if (high > low * (1 + SAME_LOSS)) return;
    throw new TableError(`All losses are ${general(low, 6)}; a fit needs them to differ.`);
  }

  /** Raises a TableError if log N and log D lie on one line, or nearly. */
  function checkLine(places) {
    const [x, y] = [0, 1].map((k) => mean(places.map((place) => place[k])));
    const moment = (f) => mean(places.map(([n, d]) => f(n - x, d - y)));
    const [xx, xy, yy] = [moment((n) => n * n), moment((n, d) => n * d), moment((_, d) => d * d)];
    const larger = (xx + yy) / 2 + Math.hypot((xx - yy) / 2, xy);
    const off = Math.sqrt(Math.max(0, (xx * yy - xy * xy) / larger));
    if (off >= OFF_LINE) return;
    const slope = xy ? (larger - xx) / xy : Infinity;
    const line =
      Math.abs(slope + 1) < OFF_LINE
        ? "one budget 6·N·D"
        : `D proportional to N^${general(slope, 2)}`;
    throw new TableError(
      `Log N and log D of the runs lie on one line (${line}, to within ` +
        `${general(100 * off, 2)} %), on which no fit can tell their terms apart: vary both.`,
    );
  }

  /**
   * The law of a form that comes nearest to a table: its constants by NAMES, its row, whether the
   * search ended, the constants on a bound, and the rms of the residuals of log loss.
   */
  function fitSurface(table, form) {
    check(table, form);
    const { z, shifts } = logAxes(table);
    const mass = new Float64Array(table.loss.length).fill(1);
    const grid = EXPONENTS.flatMap((alpha) => EXPONENTS.map((beta) => [alpha, beta]));
    let found = least(descendFrom(grid, z, table.loss, mass, MOST_STARTS));
    if (form === POWER && !vanished(found.row).includes(true)) {
      const starts = FIRST_POWERS.map((g) => atPower(found.row, g));
      found = least(starts.map((row) => descend(row, z, table.loss, POWER, mass)));
    }
    const { row, converged } = found;
    const nothing = NOTHING * Math.min(...table.loss);
    if (row[0] < nothing) row[0] = 0;
    const parts = [row[1], row[2]].map(Math.exp);
    const none = form === SUM ? parts.map((term) => term < nothing) : vanished(row);
    none.forEach((gone, k) => gone && (row[1 + k] = -Infinity));
    const bounds = boundsOf(row, form, none);
    const logs = table.loss.map(Math.log);
    const rms = Math.sqrt(mean(Array.from(logLosses(row, z), (log, i) => (log - logs[i]) ** 2)));
    const [E, A, alpha, B, beta, g] = constants(row, shifts);
    const law = { E, A, alpha, B, beta, g };
    const free = FREE[form];
    return { ...law, form, free, row, converged, bounds, rms, hasOptimum: !none.includes(true) };
  }

  /** Rows of a cut that a search sets out from: straight lines in the logs, above some floors. */
  function cutStarts([x], loss, floor, ceiling) {
    const lowest = loss.reduce((a, b) => Math.min(a, b), Infinity);
    const floors = floor === null ? FIRST_FLOORS.map((share) => share * lowest) : [floor];
    return floors.map((E) => {
      const logs = Array.from(loss, (value) => -Math.log(1 / (value - E) - 1 / (ceiling - E)));
      const slope = sum(logs.map((log, i) => log * x[i])) / sum(logs.map((_, i) => x[i] ** 2));
      const alpha = clip(-slope, ...ALPHA_BOUNDS);
      return [E, mean(logs), -Infinity, alpha, ALPHA_BOUNDS[0], 1, ceiling];
    });
  }

  /**
   * The law L = E + A/N^alpha that comes nearest to runs {N, loss, seed} of one D. E is `floor`, or
   * fitted if that is null; losses lie below `ceiling`, if that is finite: L = E + 1/(N^alpha/A +
   * 1/(ceiling - E)). Throws a TableError for too few sizes.
   */
  function fitCut({ N, loss, seed }, { floor = null, ceiling = Infinity } = {}) {
    const table = { N, D: N.map(() => 1), loss, seed };
    const needed = floor === null ? 4 : 3;
    const sizes = new Set(N).size;
    if (sizes < needed) {
      const told = `${sizes} size${sizes === 1 ? "" : "s"}`;
      throw new TableError(`The runs have ${told}; this law needs at least ${needed}.`);
    }
    const highest = Math.max(...loss);
    if ((floor ?? 0) >= Math.min(...loss) || highest >= ceiling) {
      throw new TableError("Some losses lie outside what the law allows.");
    }
    const { z, shifts } = logAxes(table);
    const free = floor === null ? [0, 1, 3] : [1, 3];
    const mass = new Float64Array(loss.length).fill(1);
    const starts = cutStarts(z, loss, floor, ceiling);
    const { row, converged } = least(starts.map((from) => descend(from, z, loss, CUT, mass, free)));
    const ended = free.filter((k) => endOf(row, k) !== undefined);
    const bounds = ended.map((k) => `${ROW[k]} = ${row[k]}`);
    const logs = loss.map(Math.log);
    const rms = Math.sqrt(mean(Array.from(logLosses(row, z), (log, i) => (log - logs[i]) ** 2)));
    const [E, A, alpha] = constants(row, shifts);
    const law = { E, A, alpha, U: ceiling, form: CUT, free, row, converged, bounds, rms };
    return { table, law };
  }

  /** The loss of a cut's law at N. */
  const lossAtSize = ({ E, A, alpha, U }, n) => E + below(U - E, A * n ** -alpha);

  /** E, A, alpha, B, beta, g of a row. */
  function constants([E, a, b, alpha, beta, g], [shiftN, shiftD]) {
    return [E, Math.exp(a + alpha * shiftN), alpha, Math.exp(b + beta * shiftD), beta, g];
  }

  /** The loss at N and D. */
  const lossAt = ({ E, A, alpha, B, beta, g }, n, d) =>
    E + bent(A * n ** -alpha + B * d ** -beta, g);

  /** N and D of the lowest loss among those with 6·N·D = flops (Hoffmann et al. 2022, eq. 4). */
  function optimal(law, flops) {
    const { A, alpha, B, beta } = law;
    const product = flops / FLOPS_PER_PARAMETER_AND_TOKEN;
    const logs = Math.log(alpha * A) - Math.log(beta * B) + beta * Math.log(product);
    const N = Math.exp(logs / (alpha + beta));
    return { N, D: product / N, loss: lossAt(law, N, product / N) };
  }

  // ---- how runs scatter -------------------------------------------------------------------

  const STEEPEST_NOISE = 8; // power of the loss
  const CHANCE = 0.05; // a misfit less likely than this is the law's fault
  const NO_LAW = 3; // a misfit beyond which a form does not hold
  const SAME_LOSS = 1e-8; // runs whose log losses differ by less are one run, copied
  const MIN_REPEATS = 4; // runs beyond the first of their setting, to know the spread over seeds
  const [FAR_OFF, LEAST_OFF, MANY_OFF] = [12, 0.02, 0.05];

  /** Where a function of one number between two ends is least, by golden sections. */
  function minimum(f, low, high) {
    const golden = (Math.sqrt(5) - 1) / 2;
    while (high - low > 1e-6) {
      const [left, right] = [high - golden * (high - low), low + golden * (high - low)];
      if (f(left) < f(right)) high = right;
      else low = left;
    }
    return (low + high) / 2;
  }

  /**
   * Standard deviation of log loss between the seeds of each setting: s·loss^b, of one s and b for
   * all, by maximum likelihood; null where there are too few repeats or runs are copies.
   */
  function noise(table) {
    const groups = settings(table);
    if (!table.seed || table.loss.length - groups.length < MIN_REPEATS) return null;
    const logs = table.loss.map(Math.log);
    const means = groups.map((group) => mean(group.map((i) => logs[i])));
    const squares = groups.map((group, k) => sum(group.map((i) => (logs[i] - means[k]) ** 2)));
    const freedom = groups.map((group) => group.length - 1);
    const total = sum(freedom);
    if (sum(squares) <= total * SAME_LOSS ** 2) return null;
    const level = means.map((log) => log - mean(means));
    const variance = (b) => sum(squares.map((s, k) => s * Math.exp(-2 * b * level[k]))) / total;
    const tilt = sum(freedom.map((n, k) => n * level[k]));
    const deviance = (b) => Math.log(variance(b)) * total + 2 * b * tilt;
    const power = minimum(deviance, -STEEPEST_NOISE, STEEPEST_NOISE);
    const sigmas = level.map((log) => Math.sqrt(variance(power)) * Math.exp(power * log));
    return { groups, logs, means, sigmas };
  }

  /** Raises a TableError if a seed comes twice at one N and D. */
  function checkSeeds(table) {
    if (!table.seed) return;
    for (const group of settings(table)) {
      if (new Set(group.map((i) => table.seed[i])).size === group.length) continue;
      const [n, d] = [table.N, table.D].map((values) => general(values[group[0]], 6));
      throw new TableError(`N ${n}, D ${d} has a seed more than once; expected one run per seed.`);
    }
  }

  /** Probability that F of some degrees of freedom is above `ratio`: a share of sin^p · cos^q. */
  function aboveF(ratio, first, second) {
    const [p, q] = [second - 1, first - 1]; // Beta(second/2, first/2) of sin²
    const end = Math.asin(Math.sqrt(second / (second + first * ratio)));
    const peak = Math.atan2(Math.sqrt(p), Math.sqrt(q));
    const log = (t) => (p && p * Math.log(Math.sin(t))) + (q && q * Math.log(Math.cos(t)));
    const steps = 4000;
    const area = (from, to) => {
      const width = (to - from) / steps;
      const parts = Array.from({ length: steps }, (_, i) => log(from + (i + 0.5) * width));
      return width * sum(parts.map((part) => Math.exp(part - log(peak))));
    };
    const below = area(0, end);
    return below / (below + area(end, Math.PI / 2));
  }

  /** What is left of a vector after the nearest combination of columns, by orthogonalisation. */
  function beside(columns, vector) {
    const dot = (one, other) => sum(one.map((value, i) => value * other[i]));
    const take = (from, unit) => {
      const share = dot(from, unit);
      return from.map((value, i) => value - share * unit[i]);
    };
    const units = [];
    for (const column of columns) {
      const size = Math.sqrt(dot(column, column));
      let rest = column;
      for (let pass = 0; pass < 2; pass++) rest = units.reduce(take, rest);
      const left = Math.sqrt(dot(rest, rest));
      if (left > 1e-12 * size) units.push(rest.map((value) => value / left));
    }
    return units.reduce(take, vector);
  }

  /** Constants that the runs tell of: not on a bound, and of no term that is none. */
  function told({ row, free }) {
    const [noA, noB] = vanished(row);
    const lost = [...(noA ? [1, 3, 5] : []), ...(noB ? [2, 4, 5] : [])];
    return free.filter((k) => !lost.includes(k) && endOf(row, k) === undefined);
  }

  /**
   * How far the means of settings lie from a law, in units of what seeds explain, and by how much
   * intervals are wider for it; both 1 where seeds tell no noise, which `bySeeds` says.
   */
  function misfit(table, surface) {
    const scatter = noise(table);
    if (!scatter) return { ratio: 1, widening: 1, bySeeds: false };
    const { groups, logs, sigmas } = scatter;
    const { z } = logAxes(table);
    const fitted = logLosses(surface.row, z);
    const constantsTold = told(surface);
    const freedom = groups.length - constantsTold.length;
    if (freedom <= 0) return { ratio: 1, widening: 1, bySeeds: true };
    const weights = groups.map((group, k) => Math.sqrt(group.length) / sigmas[k]);
    const off = groups.map((group, k) => weights[k] * mean(group.map((i) => logs[i] - fitted[i])));
    const slope = groups.map(([i]) => slopes(surface.row, z[0][i], z[1][i]));
    const columns = constantsTold.map((k) => slope.map((by, at) => weights[at] * by[k]));
    const square = (values) => sum(values.map((value) => value ** 2)) / freedom;
    const ratio = Math.sqrt(square(off));
    const repeats = Math.max(1, table.loss.length - groups.length);
    const chance = aboveF(square(beside(columns, off)), freedom, repeats);
    return { ratio, widening: chance < CHANCE ? Math.max(1, ratio) : 1, bySeeds: true };
  }

  /** Runs that lie much further from the law than most do, such as slips of the pen. */
  function farOff(table, surface, ratio) {
    if (ratio > NO_LAW) return [];
    const fitted = logLosses(surface.row, logAxes(table).z);
    const residuals = table.loss.map((loss, i) => Math.log(loss) - fitted[i]);
    const middle = median(residuals);
    const sizes = residuals.map((residual) => Math.abs(residual - middle));
    const most = Math.max(FAR_OFF * median(sizes), LEAST_OFF);
    const far = [...sizes.keys()].filter((i) => sizes[i] > most);
    if (far.length > MANY_OFF * sizes.length) return [];
    far.sort((one, other) => sizes[other] - sizes[one]);
    return far.slice(0, 3).map((i) => ({ run: i, share: Math.abs(Math.expm1(residuals[i])) }));
  }

  // ---- the bootstrap ----------------------------------------------------------------------

  /** A draw from a gamma distribution of shape below 1 (Marsaglia & Tsang 2000). */
  function gamma(shape, draw) {
    const d = shape + 2 / 3;
    for (;;) {
      const normal = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
      const v = (1 + normal / Math.sqrt(9 * d)) ** 3;
      const u = 1 - draw();
      if (v > 0 && Math.log(u) < normal ** 2 / 2 + d * (1 - v + Math.log(v))) {
        return d * v * (1 - draw()) ** (1 / shape);
      }
    }
  }

  /** A maker of resamples {loss, mass}: the law, or the means, and deviations that seeds showed. */
  function bySeeds(table, surface, widening, draw) {
    const { groups, logs, means, sigmas } = noise(table);
    const pool = groups.flatMap((group, k) => {
      const grown = Math.sqrt(group.length / Math.max(1, group.length - 1)) / sigmas[k];
      return group.length > 1 ? group.map((i) => (logs[i] - means[k]) * grown) : [];
    });
    const around = Array.from(logLosses(surface.row, logAxes(table).z));
    const spread = [];
    groups.forEach((group, k) =>
      group.forEach((i) => {
        spread[i] = widening * sigmas[k];
        if (widening > 1) around[i] = means[k]; // the law does not hold: about what was measured
      }),
    );
    const mass = new Float64Array(logs.length).fill(1);
    const deviation = () => pool[Math.floor(draw() * pool.length)];
    return () => ({ loss: around.map((log, i) => Math.exp(log + spread[i] * deviation())), mass });
  }

  /** A maker of resamples without seeds: random weights on the settings (Rubin 1981). */
  function byWeights(table, surface, draw) {
    const groups = settings(table);
    const shape = (groups.length - surface.free.length) / groups.length;
    return () => {
      const weights = groups.map(() => gamma(shape, draw));
      const average = mean(weights);
      const mass = new Float64Array(table.loss.length);
      groups.forEach((group, k) => group.forEach((i) => (mass[i] = weights[k] / average)));
      return { loss: table.loss, mass };
    };
  }

  /** What fits the law of a resample, given the law of the runs. */
  function refitting({ row, form, free, hasOptimum }, z) {
    if (form === CUT || (form === POWER && hasOptimum)) {
      return (loss, mass) => descend(row, z, loss, form, mass, free);
    }
    const some = EXPONENTS.filter((_, i) => i % 3 === 1);
    const near = [row[3], row[4]];
    const exponents = [...some.flatMap((alpha) => some.map((beta) => [alpha, beta])), near];
    return (loss, mass) => descendFrom(exponents, z, loss, mass, 1)[0];
  }

  /** The laws of resamples, one after another. */
  function* resampled(table, surface, seed) {
    const { z, shifts } = logAxes(table);
    const draw = random(seed);
    const scatter = misfit(table, surface);
    const make = scatter.bySeeds
      ? bySeeds(table, surface, scatter.widening, draw)
      : byWeights(table, surface, draw);
    const again = refitting(surface, z);
    for (;;) {
      const { loss, mass } = make();
      const fit = again(loss, mass);
      const values = constants(fit.row, shifts);
      const law = Object.fromEntries(NAMES.map((name, k) => [name, values[k]]));
      yield { ...law, converged: fit.converged };
    }
  }

  return {
    MOST, NO_LAW, POWER, SUM, TableError,
    checkSeeds, doubts, farOff, fitCut, fitSurface, general, interval, lossAt, lossAtSize, misfit,
    optimal, readTable, resampled,
  };
}

(() => {
  const { random } = window.TinyLM;
  const TOGETHER = 10; // resamples that a worker tells of at a time

  /** What the worker runs: it answers {table, surface, n, seed} with laws, some at a time. */
  function work(engine, together) {
    self.onmessage = ({ data: { table, surface, n, seed } }) => {
      const laws = engine.resampled(table, surface, seed);
      for (let done = 0; done < n; done += together) {
        const some = Array.from({ length: Math.min(together, n - done) }, () => laws.next().value);
        self.postMessage(some);
      }
    };
  }

  /**
   * The laws of `n` resamples, in a worker: `progress` is given how many there are, `done` all of
   * them, `failed` a sentence. Returns what stops it.
   */
  function bootstrap(table, surface, n, seed, { progress, done, failed }) {
    const source = `"use strict";(${work})((${lawsEngine})(${random}), ${TOGETHER});`;
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(address);
    const laws = [];
    const stop = () => {
      worker.terminate();
      URL.revokeObjectURL(address);
    };
    worker.onmessage = ({ data }) => {
      laws.push(...data);
      progress(laws.length);
      if (laws.length < n) return;
      stop();
      done(laws);
    };
    worker.onerror = ({ message }) => {
      stop();
      failed(`The intervals could not be computed (${message}).`);
    };
    const { N, D, loss, seed: seeds } = table;
    worker.postMessage({ table: { N, D, loss, seed: seeds }, surface, n, seed });
    return stop;
  }

  window.TinyLM = { ...window.TinyLM, ...lawsEngine(random), bootstrap };
})();
