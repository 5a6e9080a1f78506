// The definition of a term in a card, while a pointer or the keyboard is on it.
"use strict";

window.addEventListener("load", () => {
  const GAP = 6; // pixels between a term and its card
  const about = { className: "tlm-card", id: "tlm-card", hidden: true };
  const card = Object.assign(document.createElement("div"), about);
  card.setAttribute("role", "tooltip");

  function show(term) {
    card.textContent = term.dataset.meaning;
    card.hidden = false;
    const [at, own] = [term.getBoundingClientRect(), card.getBoundingClientRect()];
    const room = document.documentElement.clientWidth - own.width - GAP;
    const below = at.bottom + GAP + own.height <= window.innerHeight;
    card.style.left = `${window.scrollX + Math.max(GAP, Math.min(at.left, room))}px`;
    card.style.top = `${window.scrollY + (below ? at.bottom + GAP : at.top - GAP - own.height)}px`;
    term.setAttribute("aria-describedby", card.id);
  }

  function hide(term) {
    card.hidden = true;
    term.removeAttribute("aria-describedby");
  }

  const terms = document.querySelectorAll("a.tlm-term[title]");
  if (!terms.length) return;
  document.querySelector("main").append(card);
  for (const term of terms) {
    term.dataset.meaning = term.title;
    term.removeAttribute("title"); // else the browser shows it, too
    for (const name of ["pointerenter", "focus"]) term.addEventListener(name, () => show(term));
    for (const name of ["pointerleave", "blur"]) term.addEventListener(name, () => hide(term));
    term.addEventListener("keydown", ({ key }) => key === "Escape" && hide(term));
  }
});
