// Mark boxes whose content goes on to the right, so that their edge fades: a cue to scroll.
document.addEventListener("DOMContentLoaded", () => {
  const boxes = document.querySelectorAll(
    ".bd-article pre, .bd-article .pst-scrollable-table-container, .bd-article .text_html",
  );
  const mark = (box) =>
    box.classList.toggle("tlm-more", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);
  const markAll = () => boxes.forEach(mark);
  boxes.forEach((box) => box.addEventListener("scroll", () => mark(box), { passive: true }));
  window.addEventListener("resize", markAll);
  document.addEventListener("toggle", markAll, true);
  document.fonts.ready.then(markAll);
});
