// Numbers as words, and the parts of a chart, for the pages that draw.
"use strict";

(() => {
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  /** A number to so many digits: 0.34, 13,992, 3.16 × 10¹². */
  function shown(value, digits = 3) {
    if (!Number.isFinite(value)) return "beyond all numbers";
    if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)) {
      const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
      const power = exponent.replace(/\d/g, (digit) => SUPERSCRIPTS[digit]);
      return `${Number(mantissa)}\u00a0×\u00a010${power.replace("+", "").replace("-", "⁻")}`;
    }
    return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 9 });
  }

  /** A number as a reader types it: 13992, 2.13e14. */
  function typed(value, digits = 3) {
    const rounded = Number(value.toPrecision(digits));
    return rounded < 1e6 ? String(rounded) : rounded.toExponential().replace("+", "");
  }

  /** A number in a few characters: 64, 6.1k, 1.2M. */
  function short(value) {
    const units = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
    const [unit, suffix] = units.find(([least]) => value >= 0.9995 * least) ?? [1, ""];
    if (value >= 0.9995e18) return typed(value, 2);
    return `${Number((value / unit).toPrecision(3))}${suffix}`;
  }

  const svg = (tag, attributes, children = []) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  /** Round numbers between two, on a logarithmic axis. */
  function ticks(low, high, most) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const digit of [1, 2, 5]) found.push(digit * 10 ** power);
    }
    const inside = found.filter((value) => value >= low && value <= high);
    const decades = inside.filter((value) => value.toExponential(0).startsWith("1"));
    return inside.length > most && decades.length > 1 ? decades : inside;
  }

  /** Steps of 1, 2 or 5 between two numbers, about five of them. */
  function steps(low, high) {
    const unit = 10 ** Math.floor(Math.log10((high - low) / 4));
    const step = [1, 2, 5, 10].map((by) => by * unit).find((by) => (high - low) / by <= 6);
    const first = Math.ceil(low / step);
    const count = Math.floor(high / step) - first + 1;
    return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }

  const text = (at, down, anchor, content, more = {}) =>
    svg("text", { x: at, y: down, "text-anchor": anchor, ...more }, [content]);

  const chart = { make, short, shown, steps, svg, text, ticks, typed };
  window.TinyLM = { ...window.TinyLM, chart };
})();
