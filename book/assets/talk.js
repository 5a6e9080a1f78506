// The page on which a model writes: book/talk.md. Needs gpt.js and models.js, which the build writes.
"use strict";

window.addEventListener("load", () => {
  const root = document.getElementById("tlm-talk");
  if (!root || !window.TinyLMModels) return;
  const { END_OF_TEXT, Reader, Tokenizer, best, random, sample, softmax } = window.TinyLM;
  const SHOWN = 10; // next tokens in the table
  const MOST_BITS = 8; // of surprise, which the darkest shade stands for
  const SLICE_MS = 12; // how long a part of the writing may block the page

  const tokenizer = new Tokenizer(window.TinyLMModels[0].merges);
  const readers = window.TinyLMModels.map((packed) => new Reader(packed));
  const context = Math.min(...readers.map((reader) => reader.config.context_length));
  let tokens = [END_OF_TEXT];
  let prompted = 1; // tokens that the reader wrote, the first included
  let chosen = null; // the token looked at
  let writing = null; // the run of the writer, so that a new one ends it

  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const value = (name) => Number(root.querySelector(`[name="${name}"]`).value);
  const reader = () => readers[Number(root.querySelector('[name="model"]:checked').value)];
  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const short = (n) =>
    n < 1e6 ? `${Math.round(n / 1e3)} thousand` : `${Number((n / 1e6).toFixed(1))} million`;
  const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

  /** Let a model read what it has not read of the tokens; logits after the last. */
  function catchUp(model) {
    let same = model.tokens.length;
    if (model.tokens.some((token, i) => token !== tokens[i])) same = 0;
    if (!same) model.forget();
    for (let i = model.tokens.length; i < tokens.length; i++) model.read(tokens[i]);
    return model.logits[tokens.length - 1];
  }

  /** What each token shows: a character may be spread over several tokens. */
  function texts() {
    const decoder = new TextDecoder();
    return tokens.map((id) =>
      id === END_OF_TEXT ? "" : decoder.decode(Uint8Array.from(tokenizer.pieces[id]), { stream: true }),
    );
  }

  /** A token by itself, its blanks to be seen. */
  function named(id) {
    if (id === END_OF_TEXT) return "(end)";
    return tokenizer.decode([id]).replace(/ /g, "␣").replace(/\n/g, "⏎");
  }

  function surprise(model, at) {
    return -Math.log2(softmax(Float64Array.from(model.logits[at - 1]))[tokens[at]]);
  }

  /** Which share of the shade each token has: surprise, or the attention paid to it. */
  function shades(model) {
    const head = value("shade");
    if (head < 0 || chosen === null) {
      return tokens.map((_, at) => (at ? surprise(model, at) / MOST_BITS : 0));
    }
    const paid = model.attention[chosen - 1][head];
    return tokens.map((_, at) => Math.sqrt(paid[at] ?? 0)); // the root: small shares are seen
  }

  function drawStory() {
    const model = reader();
    catchUp(model);
    const story = part("story");
    const shade = shades(model);
    const shown = texts();
    while (story.children.length > tokens.length - 1) story.lastChild.remove();
    for (let at = 1; at < tokens.length; at++) {
      let token = story.children[at - 1];
      if (!token) {
        token = make("span", { className: "tlm-token" }); // a button would not break lines
        token.setAttribute("role", "button");
        token.addEventListener("click", () => look(at));
        story.append(token);
      }
      const text = tokens[at] === END_OF_TEXT ? "∎" : shown[at];
      if (token.textContent !== text) token.textContent = text;
      token.style.setProperty("--shade", Math.min(1, shade[at]).toFixed(3));
      token.classList.toggle("tlm-own", at < prompted);
      token.setAttribute("aria-pressed", String(at === chosen));
      token.tabIndex = at === (chosen ?? 1) ? 0 : -1;
    }
    part("legend").textContent =
      value("shade") < 0 || chosen === null
        ? `The darker a token, the more it surprised the model, up to ${MOST_BITS} bits.`
        : "The darker a token, the more of this head's attention it had when the model chose the framed one.";
  }

  /** What every model expected where a token stands. */
  function drawChoice() {
    const box = part("choice");
    box.replaceChildren();
    part("heads").hidden = chosen === null;
    if (chosen === null) return;
    const id = tokens[chosen];
    const columns = readers.map((model) => {
      catchUp(model);
      return softmax(Float64Array.from(model.logits[chosen - 1]));
    });
    const head = readers.map((model) =>
      make("th", { scope: "col", textContent: short(model.about.parameters) }),
    );
    const rows = Array.from({ length: SHOWN }, (_, rank) =>
      make("tr", {}, [
        make("th", { scope: "row", textContent: String(rank + 1) }),
        ...columns.map((shares) => {
          const token = best(shares, SHOWN)[rank];
          const cell = make("td", { className: token === id ? "tlm-hit" : "" }, [
            make("code", { textContent: named(token) }),
            make("span", { textContent: percent(shares[token]) }),
          ]);
          cell.style.setProperty("--share", shares[token].toFixed(4));
          return cell;
        }),
      ]),
    );
    const bits = columns.map((shares) => `${(-Math.log2(shares[id])).toFixed(1)} bits`);
    rows.push(
      make("tr", {}, [
        make("th", { scope: "row", textContent: named(id) }),
        ...bits.map((text) => make("td", { textContent: text })),
      ]),
    );
    box.append(
      make("table", {}, [
        make("caption", {
          textContent: `What could have stood for ${named(id)}, by models of so many parameters`,
        }),
        make("thead", {}, [make("tr", {}, [make("th", { scope: "col", textContent: "rank" }), ...head])]),
        make("tbody", {}, rows),
      ]),
    );
  }

  function drawHeads() {
    const { n_layers, n_heads, kv_heads, induction_heads } = reader().config;
    const choice = root.querySelector('[name="shade"]');
    const before = choice.value || "-1";
    choice.replaceChildren(make("option", { value: "-1", textContent: "surprise" }));
    for (let layer = 0; layer < n_layers; layer++) {
      for (let head = 0; head < n_heads; head++) {
        const kind = Math.floor((head * kv_heads) / n_heads) >= kv_heads - induction_heads;
        const name = `attention of layer ${layer + 1}, head ${head + 1}${kind ? ", of induction" : ""}`;
        choice.append(make("option", { value: String(layer * n_heads + head), textContent: name }));
      }
    }
    choice.value = before;
    if (choice.value === "") choice.value = "-1";
  }

  function look(at) {
    chosen = at;
    drawStory();
    drawChoice();
  }

  /** Take the text of the box as what the story begins with, if it is another. */
  function begin() {
    const typed = root.querySelector('[name="begin"]').value;
    const ids = [END_OF_TEXT, ...tokenizer.encode(typed)].slice(0, context);
    const same = ids.length === prompted && ids.every((id, i) => id === tokens[i]);
    if (!same) restart(ids);
  }

  function restart(ids) {
    writing = null;
    tokens = ids;
    prompted = ids.length;
    chosen = null;
    part("said").textContent = "";
  }

  function write(n) {
    begin();
    const model = reader();
    const draw = random(value("seed") + tokens.length);
    const run = {};
    writing = run;
    let [written, spent] = [0, 0];
    const go = () => {
      if (writing !== run) return;
      const began = performance.now();
      let ended = "";
      while (!ended && performance.now() - began < SLICE_MS) {
        if (tokens.at(-1) === END_OF_TEXT && tokens.length > 1) ended = "The story is at its end.";
        else if (tokens.length >= context) ended = `Its context of ${context} tokens is full.`;
        else if (written === n) ended = " ";
        else {
          tokens.push(sample(catchUp(model), value("temperature"), value("top_k"), draw));
          written++;
        }
      }
      spent += performance.now() - began;
      drawStory();
      if (!ended) return void setTimeout(go);
      writing = null;
      const pace = written ? `${Math.round((1000 * written) / spent)} tokens per second. ` : "";
      part("said").textContent = `${pace}${ended}`.trim();
    };
    go();
  }

  root.addEventListener("input", ({ target }) => {
    const told = target.closest("label")?.querySelector("output");
    if (told) told.textContent = target.value;
    if (target.name === "begin") {
      begin();
      drawChoice();
    }
    if (target.name === "model") drawHeads();
    if (["begin", "model", "shade"].includes(target.name)) drawStory();
  });
  part("go").addEventListener("click", () => write(60));
  part("again").addEventListener("click", () => {
    restart(tokens.slice(0, prompted));
    drawStory();
    drawChoice();
  });
  part("story").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Enter: 0, " ": 0 }[event.key];
    if (step === undefined) return;
    const at = Math.min(Math.max((chosen ?? 1) + step, 1), tokens.length - 1);
    event.preventDefault();
    look(at);
    part("story").children[at - 1].focus();
  });

  part("models").append(
    ...readers.map((model, i) =>
      make("label", {}, [
        make("input", { type: "radio", name: "model", value: String(i), checked: i === readers.length - 1 }),
        ` ${short(model.about.parameters)} parameters, ${model.about.nats.toFixed(2)} nats per token`,
      ]),
    ),
  );
  root.querySelectorAll("output").forEach((told) => {
    told.textContent = told.closest("label").querySelector("input").value;
  });
  const cost = Math.max(0, ...readers.map(({ about }) => about.rounding)).toFixed(3);
  document.getElementById("tlm-talk-about").textContent =
    `They read ${short(readers[0].about.tokens)} tokens each. ` +
    `In this page their matrices have eight bits a weight, which costs at most ${cost} nats per token ` +
    "on validation stories.";
  drawHeads();
  begin();
  drawStory();
  root.dataset.ready = "true";
});
