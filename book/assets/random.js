// Chance that a page can repeat: for gpt.js and laws.js.
"use strict";

(() => {
  /** A source of numbers in [0, 1) that the same seed gives again (mulberry32). */
  function random(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  window.TinyLM = { ...window.TinyLM, random };
})();
