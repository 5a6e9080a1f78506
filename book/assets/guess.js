// Questions with a number for an answer: a reader guesses, locks it, and sees what was measured.
// Guesses are kept in the reader's browser and nowhere else.
"use strict";

{
  const KEY = "tinylm.guesses";
  const NUMBERS = ["said", "answer", "low", "high"]; // that a kept guess has

  /** All that the reader has said, by question: {title, asked, said, answer, low, high, ...}. */
  function kept() {
    try {
      const found = Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
      const whole = ([, one]) => NUMBERS.every((name) => Number.isFinite(one?.[name]));
      return Object.fromEntries(found.filter(whole));
    } catch {
      return {}; // a browser that keeps nothing, or something else under that name
    }
  }

  function keep(guesses) {
    try {
      localStorage.setItem(KEY, JSON.stringify(guesses));
    } catch {
      // it is shown, and not kept
    }
  }

  window.TinyLMGuesses = { kept, keep };
}

window.addEventListener("load", () => {
  const { kept, keep } = window.TinyLMGuesses;
  const LOG_STEPS = 100;

  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  /** Where a value stands on a scale, from 0 to 1. */
  function place({ low, high, log }, value) {
    const [from, to, at] = log ? [low, high, value].map(Math.log) : [low, high, value];
    return (at - from) / (to - from);
  }

  /** A number as it is shown: as fine as the scale. */
  const shown = ({ log, step, unit }, value) => {
    const digits = log ? 0 : Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const number = log ? Number(value.toPrecision(2)) : Number(value.toFixed(digits));
    return `${number.toLocaleString("en")}${unit}`;
  };

  const missed = (one) => Math.abs(place(one, one.said) - place(one, one.answer));
  const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

  // ---- one question -----------------------------------------------------------------------

  function read({ dataset }) {
    const [low, high, answer] = [dataset.low, dataset.high, dataset.answer].map(Number);
    const log = dataset.step === "log";
    return { low, high, answer, log, step: log ? null : Number(dataset.step), unit: dataset.unit };
  }

  function result(one) {
    const miss = missed(one);
    const close = miss <= 0.05 ? "Close." : "";
    return `You said ${shown(one, one.said)}; it is ${shown(one, one.answer)}. ` +
      `You missed by ${percent(miss)} of the scale. ${close}`.trim();
  }

  function ask(box) {
    const scale = read(box);
    const { low, high, log, step } = scale;
    const slider = make("input", {
      type: "range",
      min: log ? 0 : low,
      max: log ? LOG_STEPS : high,
      step: log ? 1 : step,
    });
    const value = () => {
      const at = Number(slider.value);
      return log ? low * (high / low) ** (at / LOG_STEPS) : at;
    };
    slider.value = String(log ? LOG_STEPS / 2 : (low + high) / 2);
    const output = make("output", { textContent: shown(scale, value()) });
    const told = make("p", { className: "tlm-said" });
    told.setAttribute("role", "status");
    const lock = make("button", { type: "button", textContent: "That is my guess" });
    const label = make("label", {}, ["your guess ", slider, " ", output]);
    const dials = make("div", { className: "tlm-dials tlm-buttons" }, [label, lock]);
    const tell = (one) => {
      dials.hidden = true;
      told.textContent = result(one);
    };
    slider.setAttribute("aria-valuetext", output.textContent);
    slider.addEventListener("input", () => {
      output.textContent = shown(scale, value());
      slider.setAttribute("aria-valuetext", output.textContent);
    });
    lock.addEventListener("click", () => {
      const { name, chapter } = box.dataset;
      const title = document.querySelector("h1")?.firstChild?.textContent.trim() ?? chapter;
      const asked = box.querySelector("p").textContent.trim();
      const one = { title, asked, said: value(), ...scale };
      keep({ ...kept(), [name]: one });
      tell(one);
    });
    box.append(dials, told);
    const before = kept()[box.dataset.name];
    if (before) tell({ ...before, ...scale }); // what was said, beside what is measured now
  }

  // ---- all of them ------------------------------------------------------------------------

  function sum(box) {
    const all = Object.values(kept());
    if (!all.length) {
      const text = "You have locked no guess yet: each chapter asks for one at its beginning.";
      box.replaceChildren(make("p", { textContent: text }));
      return;
    }
    const mean = (values) => values.reduce((a, b) => a + b) / values.length;
    const yours = mean(all.map(missed));
    const middle = mean(all.map((one) => Math.abs(0.5 - place(one, one.answer))));
    const many = all.length === 1 ? "Your one guess" : `Your ${all.length} guesses`;
    const verdict = yours < middle ? "better than" : "no better than";
    const said = make("p", {
      textContent:
        `${many} missed by ${percent(yours)} of the scale on average: ${verdict} always choosing ` +
        `the middle of it, which misses by ${percent(middle)}.`,
    });
    const head = ["chapter", "question", "you", "measured", "missed by"];
    const rows = all.map((one) =>
      make("tr", {}, [
        make("th", { scope: "row", textContent: one.title }),
        ...[one.asked, shown(one, one.said), shown(one, one.answer), percent(missed(one))].map(
          (textContent) => make("td", { textContent }),
        ),
      ]),
    );
    const table = make("table", {}, [
      make("thead", {}, [
        make("tr", {}, head.map((textContent) => make("th", { scope: "col", textContent }))),
      ]),
      make("tbody", {}, rows),
    ]);
    const forget = make("button", { type: "button", textContent: "Forget my guesses" });
    forget.addEventListener("click", () => {
      keep({});
      sum(box);
    });
    const wide = make("div", { className: "tlm-choice" }, [table]);
    const buttons = make("div", { className: "tlm-buttons" }, [forget]);
    box.replaceChildren(said, wide, buttons);
  }

  document.querySelectorAll(".tlm-guess").forEach(ask);
  document.querySelectorAll(".tlm-guesses").forEach(sum);
});
