// A GPT and its tokenizer in plain JavaScript, the same numbers as tinylm/model.py and
// tinylm/tokenizers.py. Weights come as tinylm/book/export.py writes them.
"use strict";

(() => {
  const FIRST_BYTE = 1;
  const END_OF_TEXT = 0;
  const WORDS = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu; // GPT-2's
  const RMS_EPS = 1e-5;
  const HEAD_EPS = 1.1920928955078125e-7; // torch's, of an RMSNorm that is given none

  const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytesOf(text).buffer);

  /** A tensor as Float32Array: rows of int8 with a scale each, or floats. */
  function unpack(packed) {
    if (packed.scales === undefined) return floats(packed.data);
    const [rows, columns] = packed.shape;
    const whole = new Int8Array(bytesOf(packed.data).buffer);
    const scales = floats(packed.scales);
    const weights = new Float32Array(rows * columns);
    for (let i = 0; i < weights.length; i++) weights[i] = whole[i] * scales[(i / columns) | 0];
    return weights;
  }

  /** matrix (rows, x.length) times x. */
  function product(matrix, x) {
    const n = x.length;
    const y = new Float32Array(matrix.length / n);
    for (let row = 0, at = 0; row < y.length; row++) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += matrix[at++] * x[i];
      y[row] = sum;
    }
    return y;
  }

  /** Root mean square norm of n numbers from `at` on. */
  function rmsNorm(x, gains, eps, at = 0) {
    const n = gains.length;
    let square = 0;
    for (let i = 0; i < n; i++) square += x[at + i] ** 2;
    const scale = 1 / Math.sqrt(square / n + eps);
    return gains.map((gain, i) => x[at + i] * scale * gain);
  }

  /** Turn the pairs (j, j + W/2) of a head by its position's angle. */
  function rotate(head, position) {
    const half = head.length / 2;
    const turned = new Float32Array(head.length);
    for (let j = 0; j < half; j++) {
      const angle = position * 10000 ** ((-2 * j) / head.length);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      turned[j] = head[j] * cos - head[j + half] * sin;
      turned[j + half] = head[j + half] * cos + head[j] * sin;
    }
    return turned;
  }

  function softmax(scores) {
    const highest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const parts = scores.map((score) => Math.exp(score - highest));
    const sum = parts.reduce((a, b) => a + b, 0);
    return parts.map((part) => part / sum);
  }

  class Tokenizer {
    constructor(merges) {
      this.pieces = [[]]; // bytes of each id; the special token has none
      const known = new Map();
      for (let byte = 0; byte < 256; byte++) {
        known.set(String(byte), this.pieces.push([byte]) - 1);
      }
      this.ranks = new Map(); // "left,right": which merge it is
      this.joined = new Map(); // "left,right": the id of both together
      merges.forEach(([left, right], rank) => {
        const bytes = [...this.pieces[left], ...this.pieces[right]];
        const key = bytes.join();
        if (!known.has(key)) known.set(key, this.pieces.push(bytes) - 1);
        this.ranks.set(`${left},${right}`, rank);
        this.joined.set(`${left},${right}`, known.get(key));
      });
    }

    encode(text) {
      return (text.match(WORDS) ?? []).flatMap((word) => this.#encodeWord(word));
    }

    #encodeWord(word) {
      let ids = Array.from(new TextEncoder().encode(word), (byte) => FIRST_BYTE + byte);
      for (;;) {
        let best = Infinity;
        for (let i = 0; i + 1 < ids.length; i++) {
          best = Math.min(best, this.ranks.get(`${ids[i]},${ids[i + 1]}`) ?? Infinity);
        }
        if (best === Infinity) return ids;
        const merged = [];
        for (let i = 0; i < ids.length; i++) {
          const pair = `${ids[i]},${ids[i + 1]}`;
          if (this.ranks.get(pair) === best) {
            merged.push(this.joined.get(pair));
            i++;
          } else {
            merged.push(ids[i]);
          }
        }
        ids = merged;
      }
    }

    decode(ids) {
      const bytes = ids.flatMap((id) => this.pieces[id]);
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
    }
  }

  /** One model, and what it has read so far. */
  class Reader {
    constructor(packed) {
      this.config = packed.config;
      this.about = packed.about;
      this.weights = Object.fromEntries(
        Object.entries(packed.weights).map(([name, tensor]) => [name, unpack(tensor)]),
      );
      this.tokens = []; // read so far
      this.logits = []; // after each of them
      this.attention = []; // after each of them: of each layer and head, a weight a position
      this.bits = []; // whatever a page keeps for each of them
      this.cache = Array.from({ length: this.config.n_layers }, () => ({ keys: [], values: [] }));
      this.embeddings = []; // of each of them, before the shift
    }

    /** Forget all but the first `n` tokens read. */
    keep(n) {
      const lists = [this.tokens, this.logits, this.attention, this.embeddings, this.bits];
      for (const { keys, values } of this.cache) lists.push(keys, values);
      for (const list of lists) list.length = Math.min(list.length, n);
    }

    /** Read one more token; returns the logits of the next. */
    read(token) {
      const { d_model: C, n_layers, mup_factor } = this.config;
      const w = this.weights;
      const position = this.tokens.length;
      if (position >= this.config.context_length) throw new Error("the context is full");
      const own = w["embedding.weight"].subarray(token * C, (token + 1) * C);
      this.embeddings.push(own);
      const x = this.#shifted(position);
      const seen = [];
      for (let layer = 0; layer < n_layers; layer++) {
        const name = `blocks.${layer}.`;
        const read = rmsNorm(x, w[`${name}attention_norm.weight`], RMS_EPS);
        const { mixed, maps } = this.#attend(layer, name, read, position);
        seen.push(...maps);
        product(w[`${name}attention.out.weight`], mixed).forEach((y, i) => (x[i] += y));
        const hidden = product(
          w[`${name}mlp.up.weight`],
          rmsNorm(x, w[`${name}mlp_norm.weight`], RMS_EPS),
        ).map((y) => (y > 0 ? y * y : 0));
        product(w[`${name}mlp.down.weight`], hidden).forEach((y, i) => (x[i] += y));
      }
      const last = rmsNorm(x, w["norm.weight"], RMS_EPS).map((y) => y / mup_factor);
      const logits = product(w["embedding.weight"], last);
      this.tokens.push(token);
      this.logits.push(logits);
      this.attention.push(seen);
      return logits;
    }

    /** The embedding of the newest token, mixed with those of the tokens before it. */
    #shifted(position) {
      const { d_model: C, shift } = this.config;
      const x = Float32Array.from(this.embeddings[position]);
      if (!shift) return x;
      const gains = this.weights["shift.gains"];
      for (let i = 0; i < C; i++) x[i] *= gains[i];
      for (let k = 1; k <= Math.min(shift, position); k++) {
        const earlier = this.embeddings[position - k];
        for (let i = 0; i < C; i++) x[i] += earlier[i] * gains[k * C + i];
      }
      return x;
    }

    #attend(layer, name, read, position) {
      const { d_model: C, n_heads: H, kv_heads: K, induction_heads: moved, unturned } = this.config;
      const w = this.weights;
      const W = C / H;
      const qkv = product(w[`${name}attention.qkv.weight`], read);
      const query_gains = w[`${name}attention.query_norm.weight`];
      const key_gains = w[`${name}attention.key_norm.weight`];
      const queries = [];
      for (let head = 0; head < H; head++) {
        const plain = qkv.slice(head * W, (head + 1) * W);
        const q = query_gains ? rmsNorm(plain, query_gains, HEAD_EPS) : plain;
        queries.push(head < H - (unturned * H) / K ? rotate(q, position) : q);
      }
      const { keys, values } = this.cache[layer];
      keys.push([]);
      values.push([]);
      for (let head = 0; head < K; head++) {
        const plain = qkv.slice(C + head * W, C + (head + 1) * W);
        const k = key_gains ? rmsNorm(plain, key_gains, HEAD_EPS) : plain;
        keys[position].push(head < K - unturned ? rotate(k, position) : k);
        values[position].push(qkv.slice(C + (K + head) * W, C + (K + head + 1) * W));
      }
      const mixed = new Float32Array(C);
      const maps = [];
      for (let head = 0; head < H; head++) {
        const from = Math.floor((head * K) / H);
        const behind = from >= K - moved ? 1 : 0; // an induction head's key is that of the token before
        const scores = new Float32Array(position + 1);
        for (let s = behind; s <= position; s++) {
          const key = keys[s - behind][from];
          let sum = 0;
          for (let i = 0; i < W; i++) sum += queries[head][i] * key[i];
          scores[s] = sum / Math.sqrt(W);
        }
        const shares = softmax(scores);
        for (let s = 0; s <= position; s++) {
          const value = values[s][from];
          for (let i = 0; i < W; i++) mixed[head * W + i] += shares[s] * value[i];
        }
        maps.push(shares);
      }
      return { mixed, maps };
    }
  }

  /** Ids by falling logit, the best `n`. */
  function best(logits, n) {
    return Array.from(logits.keys())
      .sort((a, b) => logits[b] - logits[a])
      .slice(0, n);
  }

  /** A token from the `topK` best at a temperature; 0 takes the best. */
  function sample(logits, temperature, topK, draw) {
    const ids = best(logits, topK || logits.length);
    if (temperature <= 0) return ids[0];
    const shares = softmax(Float64Array.from(ids, (id) => logits[id] / temperature));
    let left = draw();
    for (let i = 0; i < ids.length; i++) {
      left -= shares[i];
      if (left < 0) return ids[i];
    }
    return ids[0];
  }

  window.TinyLM = { ...window.TinyLM, END_OF_TEXT, Reader, Tokenizer, best, sample, softmax };
})();
