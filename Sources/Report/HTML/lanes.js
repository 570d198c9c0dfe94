// Drawing. Every state has a shape of its own: 1 is solid, 0 an outline, unknown hatched, different
// cross-hatched; colour only helps.

const GUTTER = 150, AXIS = 26, CAPTION = 22;
const HEIGHT = { vcpu: 68, pcpu: 50 };

class Palette {
  constructor(element) {
    const style = getComputedStyle(element);
    for (const name of ["bg", "panel", "fg", "muted", "line", "faint", "set", "on-set", "clear",
      "unknown", "differ", "load", "load-line", "trap", "finding", "loss", "focus"]) {
      this[name] = style.getPropertyValue("--" + name).trim();
    }
    this.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    this.small = "10px ui-monospace, 'DejaVu Sans Mono', monospace";
    this.bold = "600 12px system-ui, 'DejaVu Sans', sans-serif";
    this.patterns = {
      unknown: this.hatch(this.unknown, false), differ: this.hatch(this.differ, true),
      clear: this.dots(this.clear),
    };
  }
  tile(size, draw) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const c = tile.getContext("2d");
    draw(c);
    return c.createPattern(tile, "repeat");
  }
  hatch(color, isCrossed) {
    return this.tile(6, (c) => {
      c.strokeStyle = color;
      c.lineWidth = 1.3;
      c.beginPath();
      for (const x of [-6, 0, 6]) { c.moveTo(x - 1, 7); c.lineTo(x + 7, -1); }
      if (isCrossed) for (const x of [-6, 0, 6]) { c.moveTo(x - 1, -1); c.lineTo(x + 7, 7); }
      c.stroke();
    });
  }
  dots(color) {
    return this.tile(4, (c) => {
      c.fillStyle = color;
      c.globalAlpha = 0.75;
      c.fillRect(0, 0, 1, 1);
      c.fillRect(2, 2, 1, 1);
    });
  }
}

class Painter {
  constructor(context, palette, model, view, width) {
    this.c = context;
    this.p = palette;
    this.model = model;
    this.view = view;
    this.width = width;
    this.scale = (width - GUTTER - 8) / (view.end - view.begin);
  }
  x(time) { return GUTTER + (time - this.view.begin) * this.scale; }
  time(x) { return this.view.begin + (x - GUTTER) / this.scale; }

  axis(y) {
    const { c, p } = this;
    const step = niceStep((this.view.end - this.view.begin) / Math.max(2, (this.width - GUTTER) / 130));
    const decimals = Math.min(9, Math.max(0, Math.ceil(9 - Math.log10(step) - 1e-9)));
    c.fillStyle = p.panel;
    c.fillRect(0, y, this.width, AXIS);
    c.font = p.small;
    c.textBaseline = "middle";
    c.textAlign = "left";
    c.fillStyle = p.muted;
    c.fillText("seconds", 12, y + AXIS / 2);
    // Ticks at round times of the recording's clock.
    const origin = this.model.origin;
    const size = BigInt(step);
    let tick = Number((origin + BigInt(Math.floor(this.view.begin))) / size * size - origin);
    for (; tick <= this.view.end; tick += step) {
      if (tick < this.view.begin) continue;
      const x = Math.round(this.x(tick)) + 0.5;
      c.strokeStyle = p.line;
      c.lineWidth = 1;
      c.beginPath(); c.moveTo(x, y + AXIS - 7); c.lineTo(x, y + AXIS); c.stroke();
      c.fillStyle = p.muted;
      if (x + 70 < this.width) c.fillText(this.model.seconds(tick, decimals), x + 4, y + AXIS / 2);
    }
  }

  caption(y, words) {
    const { c, p } = this;
    c.fillStyle = p.panel;
    c.fillRect(0, y, this.width, CAPTION);
    c.font = p.bold;
    c.fillStyle = p.muted;
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.fillText(words, 12, y + CAPTION / 2 + 0.5);
  }

  lane(lane, y, isSelected) {
    const { c, p } = this;
    const height = HEIGHT[lane.kind];
    if (isSelected) {
      c.fillStyle = p.faint;
      c.fillRect(0, y, this.width, height);
      c.fillStyle = p.focus;
      c.fillRect(0, y, 3, height);
    }
    c.strokeStyle = p.faint;
    c.beginPath(); c.moveTo(0, y + height - 0.5); c.lineTo(this.width, y + height - 0.5); c.stroke();
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.fillStyle = p.fg;
    c.font = p.bold;
    c.fillText(lane.name, 12, y + 15);
    c.font = p.small;
    c.fillStyle = p.muted;
    if (lane.detail) c.fillText(lane.detail, 12, y + 31, GUTTER - 62);
    c.textAlign = "right";
    const rows = lane.kind === "vcpu" ? [["pCPU", 9], ["API", 22], ["APK", 33], ["traps", 46], ["findings", 59]]
      : [["keys", 13], ["vCPU", 29], ["switch", 42]];
    for (const [name, at] of rows) c.fillText(name, GUTTER - 8, y + at);
    c.save();
    c.beginPath();
    c.rect(GUTTER, y, this.width - GUTTER, height);
    c.clip();
    for (const part of this.parts(lane)) {
      const left = this.x(part.begin), right = this.x(part.end);
      c.save();
      c.beginPath();
      c.rect(left, y, right - left, height);
      c.clip();
      if (part.isExact) this.exact(lane, y, part); else this.sliced(lane, y, part);
      c.restore();
    }
    this.flags(lane, y, height);
    c.restore();
  }

  /** The view cut into where single marks are drawn and where slices are. */
  parts(lane) {
    const parts = [];
    let at = this.view.begin;
    for (const [begin, end] of this.model.whole) {
      const from = Math.max(at, begin), to = Math.min(this.view.end, end);
      if (to <= from) continue;
      const [first, last] = lane.runs.range(from, to);
      const [firstLoad, lastLoad] = lane.loads.range(from, to);
      const room = (to - from) * this.scale;
      if (room < 2 || last - first + lastLoad - firstLoad > Math.max(60, room * 0.7)) continue;
      if (from > at) parts.push({ begin: at, end: from, isExact: false });
      parts.push({ begin: from, end: to, isExact: true });
      at = to;
    }
    if (at < this.view.end) parts.push({ begin: at, end: this.view.end, isExact: false });
    return parts;
  }

  block(state, x, y, w, h) {
    const { c, p } = this;
    if (state === SET) {
      c.fillStyle = p.set;
      c.fillRect(x, y, w, h);
    } else if (state === CLEAR) {
      c.strokeStyle = p.clear;
      c.lineWidth = 1;
      if (w > 2.5) c.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
      else { c.fillStyle = p.clear; c.fillRect(x, y, w, 1); c.fillRect(x, y + h - 1, w, 1); }
    } else {
      c.fillStyle = state === DIFFER ? p.patterns.differ : p.patterns.unknown;
      c.fillRect(x, y, w, h);
      c.strokeStyle = state === DIFFER ? p.differ : p.unknown;
      c.lineWidth = 1;
      if (w > 3) c.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
    }
  }

  exact(lane, y, part) {
    const isVCPU = lane.kind === "vcpu";
    const { c, p } = this;
    const loadY = y + (isVCPU ? 4 : 24);
    this.each(lane.loads, part, (x, w, mark) => {
      const key = this.model.key(mark);
      c.fillStyle = p.load;
      c.fillRect(x, loadY, w, 9);
      c.strokeStyle = p["load-line"];
      c.lineWidth = 1;
      if (w > 2) c.strokeRect(x + 0.5, loadY + 0.5, w - 1, 8);
      const words = isVCPU ? "pCPU " + key[2] : this.name(key[1]);
      this.label(isVCPU ? [words, String(key[2])] : [words, words.replace("vCPU ", "")],
        x, w, loadY + 5, p.fg);
    });
    if (!isVCPU) {
      // Between runs the host's keys are in the registers.
      c.strokeStyle = p.clear;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(this.x(part.begin), y + 12.5);
      c.lineTo(this.x(part.end), y + 12.5);
      c.stroke();
      this.each(lane.gaps, part, (x, w) => {
        c.fillStyle = p.bg;
        c.fillRect(x, y + 5, w, 16);
        this.block(UNKNOWN, x, y + 5, w, 16);
      });
    }
    this.each(lane.runs, part, (x, w, mark, begin, end) => {
      const key = this.model.key(mark);
      const halves = key[5] === key[8] && key[6] === key[9] ? [[x, w, 5]]
        : [[x, w / 2, 5], [x + w / 2, w / 2, 8]];
      for (const [left, room, at] of halves) {
        if (isVCPU) {
          this.block(key[at] === null ? UNKNOWN : key[at], left, y + 17, room, 9);
          this.block(key[at + 1] === null ? UNKNOWN : key[at + 1], left, y + 28, room, 9);
        } else {
          const live = keysLive(key[at], key[at + 1]);
          if (live === CLEAR) continue;
          c.fillStyle = p.bg;
          c.fillRect(left, y + 5, room, 16);
          this.block(live, left, y + 5, room, 16);
          if (live === SET) {
            const name = this.name(key[1]);
            this.label([name, name.replace("vCPU ", "")], left, room, y + 13, p["on-set"]);
          }
        }
      }
      if (!isVCPU && keysLive(key[8], key[9]) === SET) {
        c.fillStyle = p.set;
        for (const at of [begin, end]) c.fillRect(Math.round(this.x(at)), y + 36, 1.5, 8);
      }
      if (this.model.isOpen(mark)) this.label(["\u2026"], x + 2, 12, y + 26, p.fg);
    });
    if (!isVCPU) return;
    this.each(lane.points, part, (x) => this.trap(x, y + 41, 10));
  }

  name(vcpu) { return this.model.vcpus[vcpu] ? this.model.vcpus[vcpu].name : "vCPU ?"; }

  trap(x, y, h) {
    const { c, p } = this;
    c.fillStyle = p.trap;
    c.beginPath();
    c.moveTo(x, y); c.lineTo(x + 4.5, y + h); c.lineTo(x - 4.5, y + h);
    c.closePath();
    c.fill();
  }

  each(spans, part, draw) {
    const [from, to] = spans.range(part.begin, part.end);
    for (let i = from; i < to; i++) {
      if (spans.end[i] < part.begin) continue;
      const left = Math.max(this.x(spans.begin[i]), GUTTER - 20);
      const right = Math.min(this.x(spans.end[i]), this.width + 20);
      draw(left, Math.max(1, right - left), spans.key[i], spans.begin[i], spans.end[i]);
    }
  }

  /** The longest of `choices` that fits. */
  label(choices, x, w, y, color) {
    const { c, p } = this;
    const left = Math.max(x, GUTTER), room = Math.min(x + w, this.width) - left;
    if (room < 9) return;
    c.font = p.small;
    c.textAlign = "center";
    c.textBaseline = "middle";
    for (const words of choices) {
      if (c.measureText(words).width + 4 > room) continue;
      c.fillStyle = color;
      c.fillText(words, left + room / 2, y + 0.5);
      return;
    }
  }

  /** Columns of slices: the share of time in each state, stacked; counts as bars on a log scale. */
  sliced(lane, y, part) {
    const { c, p } = this;
    const level = lane.levels.find((l) => l.width * this.scale >= 1) || lane.levels[lane.levels.length - 1];
    const isVCPU = lane.kind === "vcpu";
    const top = y + (isVCPU ? 17 : 5), h = isVCPU ? 20 : 16;
    const first = Math.max(0, Math.floor(part.begin / level.width));
    const last = Math.min(level.count - 1, Math.ceil(part.end / level.width));
    c.strokeStyle = p.line;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(this.x(part.begin), top + h + 0.5); c.lineTo(this.x(part.end), top + h + 0.5);
    c.stroke();
    for (let i = first; i <= last; i++) {
      const x = this.x(i * level.width), w = Math.max(1, level.width * this.scale);
      const share = (s) => Math.min(1, level.time[s][i] / level.width);
      const loaded = share(LOADED);
      if (loaded > 0) {
        c.globalAlpha = 0.35 + 0.65 * loaded;
        c.fillStyle = p["load-line"];
        const full = isVCPU ? 9 : 8, at = isVCPU ? y + 4 : y + 25;
        const tall = Math.max(1, full * loaded);
        c.fillRect(x, at + full - tall, w, tall);
        c.globalAlpha = 1;
      }
      let base = top + h;
      for (const s of [SET, DIFFER, UNKNOWN, CLEAR]) {
        const part = share(s);
        if (part <= 0) continue;
        const tall = Math.min(base - top, Math.max(1, part * h));
        base -= tall;
        c.fillStyle = s === SET ? p.set : s === DIFFER ? p.patterns.differ
          : s === UNKNOWN ? p.patterns.unknown : p.patterns.clear;
        c.fillRect(x, base, w, tall);
      }
      const count = level.counts[isVCPU ? TRAPS : SWITCHES][i];
      if (count > 0) {
        const full = isVCPU ? 11 : 9;
        const tall = Math.min(full, 2.5 + 2 * Math.log2(count));
        c.fillStyle = isVCPU ? p.trap : p.set;
        c.fillRect(x, y + (isVCPU ? 51 : 46) - tall, Math.max(1, w - 0.4), tall);
      }
    }
  }

  /** Losses as walls, findings as diamonds. Those that would overlap are drawn once. */
  flags(lane, y, height) {
    const { c, p } = this;
    const [from, to] = lane.flags.range(this.view.begin, this.view.end);
    let last = -Infinity;
    for (let i = from; i < to; i++) {
      const x = this.x(lane.flags.begin[i]);
      if (x - last < 2) continue;
      last = x;
      const isLoss = this.model.flags[lane.flags.key[i]].key[0] === "loss";
      if (isLoss) {
        c.strokeStyle = p.loss;
        c.lineWidth = 2;
        c.setLineDash([3, 2]);
        c.beginPath(); c.moveTo(x, y + 1); c.lineTo(x, y + height - 1); c.stroke();
        c.setLineDash([]);
        c.fillStyle = p.loss;
        c.font = p.bold;
        c.textAlign = "center";
        c.fillText("\u00d7", x, y + height - 7);
      } else {
        this.diamond(x, lane.kind === "vcpu" ? y + 59 : y + 12, 4.5);
      }
    }
  }

  diamond(x, y, r) {
    const { c, p } = this;
    c.beginPath();
    c.moveTo(x, y - r); c.lineTo(x + r, y); c.lineTo(x, y + r); c.lineTo(x - r, y);
    c.closePath();
    c.fillStyle = p.finding;
    c.fill();
    c.strokeStyle = p.bg;
    c.lineWidth = 1;
    c.stroke();
  }

  /** Numbered lines at the events of a finding's proof. */
  evidence(list, bottom) {
    const { c, p } = this;
    let last = -Infinity;
    list.forEach((evidence, i) => {
      const x = Math.round(this.x(evidence.time)) + 0.5;
      if (x < GUTTER || x > this.width) return;
      c.strokeStyle = p.finding;
      c.lineWidth = evidence.isChosen ? 2 : 1;
      c.setLineDash(evidence.isChosen ? [] : [4, 3]);
      c.beginPath(); c.moveTo(x, AXIS); c.lineTo(x, bottom); c.stroke();
      c.setLineDash([]);
      const at = x - last < 17 ? last + 17 : x;
      last = at;
      c.fillStyle = p.finding;
      c.beginPath(); c.arc(at, AXIS - 9, 8, 0, 7); c.fill();
      c.fillStyle = p.bg;
      c.font = p.bold;
      c.textAlign = "center";
      c.textBaseline = "middle";
      c.fillText(String(i + 1), at, AXIS - 8.5);
    });
  }
}

/** 1, 2 or 5 times a power of ten, at least `least`, in whole nanoseconds. */
function niceStep(least) {
  const power = Math.pow(10, Math.floor(Math.log10(Math.max(1, least))));
  for (const m of [1, 2, 5, 10]) if (m * power >= least) return Math.round(m * power);
  return Math.round(10 * power);
}
