// The interactive picture of one recording.

class Timeline {
  constructor(section, number) {
    this.section = section;
    this.number = number;
    this.model = new Model(JSON.parse(section.querySelector("script").textContent));
    this.view = { begin: this.model.begin, end: this.model.end };
    this.pad();
    this.full = { ...this.view };
    this.selected = { lane: 0, mark: null };
    this.evidence = [];
    this.build();
    this.palette = new Palette(document.documentElement);
    this.legend();
    this.listen();
    this.layout();
    this.draw();
  }

  pad() {
    const room = Math.max(1, (this.view.end - this.view.begin) * 0.01);
    this.view.begin -= room;
    this.view.end += room;
  }

  // MARK: The page's parts

  build() {
    const root = this.root = this.section.querySelector(".picture");
    const make = (tag, properties, ...children) => {
      const element = document.createElement(tag);
      for (const [key, value] of Object.entries(properties)) {
        if (key in element && key !== "list") element[key] = value;
        else element.setAttribute(key, value);
      }
      element.append(...children);
      return element;
    };
    this.make = make;
    const button = (words, label, action) =>
      make("button", { type: "button", "aria-label": label, title: label, onclick: action }, words);
    this.viewWords = make("a", { className: "view", title: "Address of this view" });
    const bar = make("div", { className: "bar" },
      make("span", { className: "group" },
        button("\u2212", "Zoom out (-)", () => this.zoom(2)),
        button("+", "Zoom in (+)", () => this.zoom(0.5)),
        button("All", "Whole recording (0)", () => this.show(this.full.begin, this.full.end))),
      make("span", { className: "group" },
        button("\u25c0", "Earlier (left arrow)", () => this.pan(-0.4)),
        button("\u25b6", "Later (right arrow)", () => this.pan(0.4))));
    this.findingFlags = this.model.flags.filter((f) => f.key[0] === "finding")
      .sort((a, b) => a.time - b.time);
    if (this.findingFlags.length) {
      bar.append(make("span", { className: "group" },
        button("\u25c6 previous", "Previous finding (p)", () => this.nextFlag(-1)),
        button("next \u25c6", "Next finding (n)", () => this.nextFlag(1))));
    }
    bar.append(this.viewWords);
    this.overview = make("canvas", { className: "overview", "aria-hidden": "true" });
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.spacer = make("div", { className: "spacer" }, this.canvas);
    this.stage = make("div", {
      className: "stage", tabIndex: 0, role: "application",
      "aria-roledescription": "timeline",
      "aria-label": `Timeline of ${this.model.vcpus.length} vCPUs and ${this.model.cpus.length} pCPUs. `
        + "Arrow keys move, plus and minus zoom, comma and full stop step through marks, "
        + "n and p through findings. The same as tables below.",
    }, this.spacer);
    this.legendList = make("ul", { className: "legend" });
    this.details = make("div", { className: "details", role: "status", "aria-live": "polite" },
      "Point at a mark, or step through a lane's marks with , and . to read it here.");
    const keys = make("p", { className: "keys" });
    keys.innerHTML = "<kbd>Ctrl</kbd>+wheel or <kbd>+</kbd> <kbd>\u2212</kbd> zoom \u00b7 drag or "
      + "<kbd>\u2190</kbd> <kbd>\u2192</kbd> move \u00b7 <kbd>Shift</kbd>+drag, or drag in the overview, "
      + "selects a range \u00b7 <kbd>0</kbd> all \u00b7 <kbd>\u2191</kbd> <kbd>\u2193</kbd> lane \u00b7 "
      + "<kbd>,</kbd> <kbd>.</kbd> previous, next mark \u00b7 <kbd>p</kbd> <kbd>n</kbd> finding";
    this.alternative = make("details", { className: "alternative" },
      make("summary", {}, "This view as tables"));
    this.tables = make("div", {});
    this.alternative.append(this.tables);
    this.tip = make("div", { className: "tip", hidden: true, "aria-hidden": "true" });
    root.append(bar, this.overview, this.stage, this.legendList, this.details, keys,
      this.alternative, this.tip);
    if (this.model.data.lanesLeftOut) {
      root.append(make("p", { className: "keys" },
        `${this.model.data.lanesLeftOut} more vCPUs are in the tables only.`));
    }
  }

  legend() {
    const items = [
      ["bit is 1, guest's keys live", (q) => q.block(SET, 0, 2, 26, 9)],
      ["bit is 0", (q) => q.block(CLEAR, 0, 2, 26, 9)],
      ["not known", (q) => q.block(UNKNOWN, 0, 2, 26, 9)],
      ["API and APK differ (in slices)", (q) => q.block(DIFFER, 0, 2, 26, 9)],
      ["loaded, on which", (q) => {
        q.c.fillStyle = q.p.load; q.c.fillRect(0, 2, 26, 9);
        q.c.strokeStyle = q.p["load-line"]; q.c.strokeRect(0.5, 2.5, 25, 8);
        q.label(["1"], -GUTTER, 0, 0, q.p.fg);
      }],
      ["ptrauth trap", (q) => q.trap(13, 2, 10)],
      ["finding", (q) => q.diamond(13, 7, 5.5)],
      ["events lost", (q) => {
        q.c.strokeStyle = q.p.loss; q.c.lineWidth = 2; q.c.setLineDash([3, 2]);
        q.c.beginPath(); q.c.moveTo(13, 0); q.c.lineTo(13, 14); q.c.stroke();
      }],
    ];
    this.legendList.replaceChildren();
    for (const [words, draw] of items) {
      const canvas = this.make("canvas", { "aria-hidden": "true" });
      const context = this.size(canvas, 26, 14);
      draw(new Painter(context, this.palette, this.model, this.view, 200));
      this.legendList.append(this.make("li", {}, canvas, words));
    }
  }

  size(canvas, width, height, least = 1) {
    const ratio = Math.max(least, Math.min(3, window.devicePixelRatio || 1));
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  layout() {
    let y = AXIS + CAPTION;
    this.tops = [];
    this.model.lanes.forEach((lane, i) => {
      if (i === this.model.vcpus.length) y += CAPTION;
      this.tops.push(y);
      y += HEIGHT[lane.kind];
    });
    this.height = y;
    this.spacer.style.height = y + "px";
  }

  // MARK: Drawing

  /** Draws with the next frame. */
  refresh() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.draw(); });
  }

  draw(isPrinting = false) {
    const width = isPrinting ? 1100 : Math.max(320, this.stage.clientWidth);
    const height = isPrinting ? this.height : Math.min(this.height, this.stage.clientHeight || this.height);
    const scroll = isPrinting ? 0 : this.stage.scrollTop;
    this.canvas.style.height = height + "px";
    const c = this.size(this.canvas, width, height, isPrinting ? 3 : 1);
    c.fillStyle = this.palette.bg;
    c.fillRect(0, 0, width, height);
    const painter = this.painter = new Painter(c, this.palette, this.model, this.view, width);
    this.model.lanes.forEach((lane, i) => {
      const y = this.tops[i] - scroll;
      const before = i === 0 ? "vCPUs: API and APK in the guest"
        : i === this.model.vcpus.length ? "pCPUs: whose keys are live" : null;
      if (y > height || y + HEIGHT[lane.kind] < 0) return;
      painter.lane(lane, y, !isPrinting && i === this.selected.lane && document.activeElement === this.stage);
      if (before) painter.caption(y - CAPTION, before);
    });
    this.drawSelected(painter, scroll);
    painter.axis(0);
    painter.evidence(this.evidence, height);
    if (!isPrinting) this.drawOverview();
    this.viewWords.textContent =
      `${this.model.seconds(this.view.begin, 6)} \u2026 ${this.model.seconds(this.view.end, 6)} s `
      + `(${span(this.view.end - this.view.begin)})`;
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn || 0) + 1);
    this.viewWords.href = this.address;
    this.root.dataset.begin = this.view.begin;
    this.root.dataset.end = this.view.end;
    if (this.alternative.open) this.fillTables();
  }

  drawSelected(painter, scroll) {
    const { mark, lane } = this.selected;
    if (!mark) return;
    const c = painter.c;
    const x = painter.x(mark.begin), w = Math.max(3, painter.x(mark.end) - x);
    c.strokeStyle = this.palette.fg;
    c.lineWidth = 1.5;
    const y = this.tops[lane] - scroll;
    c.strokeRect(Math.max(GUTTER, x - 1.5), y + 2, Math.min(painter.width, w + 3),
      HEIGHT[this.model.lanes[lane].kind] - 4);
  }

  drawOverview() {
    const width = this.stage.clientWidth, height = 46;
    const c = this.size(this.overview, width, height);
    const painter = new Painter(c, this.palette, this.model, this.full, width);
    const p = this.palette;
    c.fillStyle = p.bg;
    c.fillRect(0, 0, width, height);
    c.font = p.small;
    c.fillStyle = p.muted;
    c.textBaseline = "middle";
    c.textAlign = "left";
    c.fillText("overview", 12, height / 2);
    // Share of all vCPUs' time in the guest with keys (solid) and without (dotted).
    const vcpus = this.model.vcpus;
    if (vcpus.length) {
      const at = vcpus[0].levels.findIndex((l) => l.width * painter.scale >= 1.5);
      const columns = new Map();
      for (const lane of vcpus) {
        const level = lane.levels[at < 0 ? lane.levels.length - 1 : Math.min(at, lane.levels.length - 1)];
        for (let i = 0; i < level.count; i++) {
          const x = Math.round(painter.x(i * level.width));
          const sums = columns.get(x) || { set: 0, other: 0, width: Math.max(1.5, level.width * painter.scale) };
          sums.set += (level.time[SET][i] + level.time[DIFFER][i]) / level.width;
          sums.other += (level.time[CLEAR][i] + level.time[UNKNOWN][i]) / level.width;
          columns.set(x, sums);
        }
      }
      let most = 0.01;
      for (const sums of columns.values()) most = Math.max(most, sums.set + sums.other);
      for (const [x, sums] of columns) {
        const scale = (height - 16) / most;
        const set = sums.set * scale, other = sums.other * scale;
        c.fillStyle = p.set;
        c.fillRect(x, height - 4 - set, sums.width, set);
        c.fillStyle = p.patterns.clear;
        c.fillRect(x, height - 4 - set - other, sums.width, other);
      }
    }
    let last = -9;
    for (const flag of this.model.flags) {
      const x = painter.x(flag.time);
      if (x - last < 4) continue;
      last = x;
      if (flag.key[0] === "finding") painter.diamond(x, 6, 4);
      else { c.fillStyle = p.loss; c.fillRect(x - 1, 0, 2, height); }
    }
    const from = Math.max(GUTTER, painter.x(this.view.begin));
    const to = Math.min(width - 1, Math.max(from + 3, painter.x(this.view.end)));
    c.fillStyle = p.muted;
    c.globalAlpha = 0.22;
    c.fillRect(GUTTER, 0, from - GUTTER, height);
    c.fillRect(to, 0, width - to, height);
    c.globalAlpha = 1;
    c.strokeStyle = p.focus;
    c.lineWidth = 1.5;
    c.strokeRect(from, 1, to - from, height - 2);
    this.overviewPainter = painter;
  }

  // MARK: Moving

  /** The view as the end of the page's address: seconds of the recording's clock, the lane, and which of the
      page's timelines if it is not the first. */
  get address() {
    const { model, view } = this;
    const at = [view.begin, view.end].map((time) => model.seconds(time)).join(",");
    const lane = model.lanes[this.selected.lane];
    return `#t=${at}&${lane.kind}=${lane.number}` + (this.number ? `&timeline=${this.number}` : "");
  }

  /** Shows what an address asks for. */
  go(parameters) {
    const [begin, end] = (parameters.get("t") || "").split(",").map((time) => this.model.time(time));
    if (begin !== null && end !== null && end > begin) this.show(begin, end);
    const lane = this.model.lanes.findIndex((l) => parameters.get(l.kind) === String(l.number));
    if (lane >= 0) this.selectLane(lane);
    this.section.scrollIntoView({ behavior: "auto", block: "start" });
    this.stage.focus({ preventScroll: true });
  }

  /** The address follows the view, once it rests. */
  remember() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => history.replaceState(null, "", this.address), 250);
  }

  show(begin, end) {
    const least = 200, most = this.full.end - this.full.begin;
    let size = Math.min(most, Math.max(least, end - begin));
    let from = (begin + end) / 2 - size / 2;
    from = Math.min(Math.max(from, this.full.begin), this.full.end - size);
    this.view.begin = from;
    this.view.end = from + size;
    this.remember();
    this.refresh();
  }
  zoom(factor, at = (this.view.begin + this.view.end) / 2) {
    this.show(at - (at - this.view.begin) * factor, at + (this.view.end - at) * factor);
  }
  pan(share) {
    const step = (this.view.end - this.view.begin) * share;
    this.show(this.view.begin + step, this.view.end + step);
  }

  /** Shows the moment of a finding: all its evidence, one event of it chosen. */
  jump(finding, number) {
    const found = this.model.findings[finding];
    if (!found || !found.evidence.length) return;
    this.evidence = found.evidence.map(([time, cpu, event, detail], i) =>
      ({ time, cpu, event, detail, isChosen: i === number }));
    const times = this.evidence.map((e) => e.time);
    const first = Math.min(...times), last = Math.max(...times);
    const room = Math.max(last - first, 20000) * 0.35;
    this.show(first - room, last + room);
    this.flagAt = this.findingFlags.findIndex((f) => f.key[1] === found.rule && f.time >= first);
    if (found.vcpus.length && found.vcpus[0] !== null) this.selectLane(found.vcpus[0]);
    const chosen = this.evidence[number || 0];
    this.say(found.rule, `${this.model.seconds(chosen.time)} s, pCPU ${chosen.cpu}: ${chosen.event}`
      + (chosen.detail ? `  ${chosen.detail}` : ""));
    this.root.dataset.jumped = found.rule;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.section.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    this.stage.focus({ preventScroll: true });
  }

  /** From the finding that is shown to its neighbour; else to the first from the view's begin on, or the last
      before its end. */
  nextFlag(direction) {
    const flags = this.findingFlags;
    const { begin, end } = this.view;
    const shown = flags[this.flagAt];
    let next;
    if (shown && begin <= shown.time && shown.time <= end) next = this.flagAt + direction;
    else if (direction > 0) next = flags.findIndex((f) => f.time >= begin);
    else next = flags.findLastIndex((f) => f.time <= end);
    if (next < 0 || next >= flags.length) {
      this.say("", direction > 0 ? "There is no finding after this." : "There is no finding before this.");
      return;
    }
    this.flagAt = next;
    const flag = flags[next];
    const size = Math.min(this.view.end - this.view.begin, (this.full.end - this.full.begin) / 50);
    this.show(flag.time - size / 2, flag.time + size / 2);
    this.evidence = [{ time: flag.time, isChosen: true }];
    if (flag.key[3] !== null) this.selectLane(flag.key[3]);
    this.say(flag.key[1], this.flagWords(flag) + `, finding ${next + 1} of ${flags.length}`
      + (this.model.data.flagsLeftOut ? " kept here" : ""));
  }

  selectLane(lane) {
    this.selected.lane = Math.max(0, Math.min(this.model.lanes.length - 1, lane));
    this.selected.mark = null;
    this.remember();
    const top = this.tops[this.selected.lane], height = HEIGHT[this.model.lanes[this.selected.lane].kind];
    const stage = this.stage;
    if (top - AXIS - CAPTION < stage.scrollTop) stage.scrollTop = top - AXIS - CAPTION;
    if (top + height > stage.scrollTop + stage.clientHeight) stage.scrollTop = top + height - stage.clientHeight;
    this.refresh();
  }

  /** Everything that can be stepped through in a lane, by time. */
  marks(lane) {
    if (!lane.all) {
      const all = [];
      for (const [spans, kind] of [[lane.runs, "mark"], [lane.points, "mark"], [lane.flags, "flag"]]) {
        for (let i = 0; i < spans.length; i++) {
          all.push({ begin: spans.begin[i], end: spans.end[i], key: spans.key[i], kind });
        }
      }
      for (let i = 0; i < lane.loads.length; i++) {
        all.push({ begin: lane.loads.begin[i], end: lane.loads.end[i], key: lane.loads.key[i], kind: "load" });
      }
      lane.all = all.sort((a, b) => a.begin - b.begin);
      lane.allBegins = lane.all.map((m) => m.begin);
    }
    return lane.all;
  }

  step(direction) {
    const lane = this.model.lanes[this.selected.lane];
    const marks = this.marks(lane);
    if (!marks.length) return;
    let at = this.selected.mark ? marks.indexOf(this.selected.mark) + direction
      : lowerBound(lane.allBegins, this.view.begin);
    at = Math.max(0, Math.min(marks.length - 1, at));
    const mark = this.selected.mark = marks[at];
    if (mark.begin < this.view.begin || mark.begin > this.view.end) {
      const size = this.view.end - this.view.begin;
      this.show(mark.begin - size / 2, mark.begin + size / 2);
    }
    this.say(lane.name, this.words(lane, mark));
    this.refresh();
  }

  // MARK: Words

  say(head, words) {
    this.details.replaceChildren(this.make("strong", {}, head), "  ", words);
  }

  flagWords(flag) {
    const key = flag.key;
    if (key[0] === "loss") {
      return `${this.model.seconds(flag.time)} s: ${key[2] || "uncounted"} events lost on pCPU ${key[1]}`;
    }
    const name = key[3] !== null && this.model.vcpus[key[3]] ? this.model.vcpus[key[3]].name + ", " : "";
    return `${this.model.seconds(flag.time)} s: ${key[1]} (${key[2]}), ${name}pCPU ${key[4]}`;
  }

  words(lane, mark) {
    if (mark.kind === "flag") return this.flagWords(this.model.flags[mark.key]);
    if (mark.kind === "gap") {
      return `${this.model.seconds(mark.begin)} s: ${lane.name}: events are missing; whose keys are live is not `
        + `known until the next run there, ${span(mark.end - mark.begin)} later`;
    }
    const key = this.model.key(mark.key);
    const at = this.model.seconds(mark.begin) + " s";
    const name = this.model.vcpus[key[1]] ? this.model.vcpus[key[1]].name : "vCPU ?";
    const where = `${name} on pCPU ${key[2]}`;
    if (mark.kind === "load") {
      return `${at}: ${where} loaded for ${span(mark.end - mark.begin)}` + (key[3] ? " (implied)" : "");
    }
    if (key[0] === "trap") {
      const what = key[3] === 9 ? "pointer authentication instruction (EC 0x09)"
        : `${key[5] ? "write" : "read"} of ${key[4]} (EC 0x18)`;
      return `${at}: ${where} trapped: ${what}; answered: ${key[6] || "not known"}`;
    }
    const ending = this.model.isOpen(mark.key) ? "no kvm_exit was seen"
      : `kvm_exit ${this.model.seconds(mark.end)} s (${span(mark.end - mark.begin)})`
        + (key[3] ? " " + key[3] : "") + (key[4] !== null ? " EC 0x" + key[4].toString(16).padStart(2, "0") : "");
    const entry = `at entry ${bits(key[5], key[6])} (${key[7]})`;
    const exit = `at exit ${bits(key[8], key[9])} (${key[10]})`;
    const live = ["host's keys live", "guest's keys live", "", "whose keys are live is not known"][keysLive(key[8], key[9])];
    return `${where}: kvm_entry ${at}, ${ending}; ${entry}, ${exit}; ${live}`;
  }

  /** What is under a point of the canvas. */
  find(x, y) {
    const at = y + this.stage.scrollTop;
    let number = -1;
    this.tops.forEach((top, i) => {
      if (at >= top && at < top + HEIGHT[this.model.lanes[i].kind]) number = i;
    });
    if (number < 0 || x < GUTTER || y < AXIS) return null;
    const lane = this.model.lanes[number];
    const painter = this.painter;
    const time = painter.time(x), reach = 4 / painter.scale;
    const near = (spans, kind, slack) => {
      const [from, to] = spans.range(time - slack, time + slack);
      let best = null;
      for (let i = from; i < to; i++) {
        if (spans.end[i] < time - slack) continue;
        const far = Math.max(0, spans.begin[i] - time, time - spans.end[i]);
        if (!best || far <= best.far) {
          best = { begin: spans.begin[i], end: spans.end[i], key: spans.key[i], kind, far };
        }
      }
      return best;
    };
    const row = at - this.tops[number];
    const isExact = painter.parts(lane).some((p) => p.isExact && p.begin <= time && time <= p.end);
    let mark = near(lane.flags, "flag", row > (lane.kind === "vcpu" ? 52 : 38) ? reach * 1.5 : reach / 2);
    if (!mark && isExact) {
      const isVCPU = lane.kind === "vcpu";
      const onLoad = isVCPU ? row < 15 : row > 22 && row < 36;
      if (isVCPU && row > 38) mark = near(lane.points, "mark", reach * 1.5);
      mark = mark || (onLoad ? near(lane.loads, "load", 0) : near(lane.runs, "mark", reach / 2))
        || near(lane.runs, "mark", 0) || near(lane.loads, "load", 0) || near(lane.gaps, "gap", 0);
    }
    return { number, lane, mark, time, isExact };
  }

  hoverWords(found) {
    const { lane, mark } = found;
    if (mark) return this.words(lane, mark).replaceAll("; ", "\n").replace(": ", ":\n");
    if (found.isExact) return null;
    const level = lane.levels.find((l) => l.width * this.painter.scale >= 1) || lane.levels.at(-1);
    const i = Math.floor(found.time / level.width);
    if (i < 0 || i >= level.count) return null;
    const share = (s) => Math.round(Math.min(1, level.time[s][i] / level.width) * 100);
    const names = ["bits 0", "bits 1", "bits differ", "bits not known"];
    const states = names.map((name, s) => share(s) ? `${name} ${share(s)}%` : "").filter(Boolean);
    const counts = ["runs", "loads", "traps", "runs switched", "losses", "findings"]
      .map((name, n) => level.counts[n][i] ? `${level.counts[n][i]} ${name}` : "").filter(Boolean);
    if (!states.length && !counts.length) return null;
    return [`${span(level.width)} from ${this.model.seconds(i * level.width)} s`,
      states.length ? "in the guest: " + states.join(", ") : "not in the guest",
      counts.join(", ")].filter(Boolean).join("\n");
  }

  // MARK: The same as tables

  fillTables() {
    const { begin, end } = this.view;
    const table = (caption, heads, rows) => {
      const make = this.make;
      return make("table", {}, make("caption", {}, caption),
        make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", { scope: "col" }, h)))),
        make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) =>
          make("td", { className: typeof cell === "number" ? "n" : "" }, String(cell)))))));
    };
    const slice = this.model.data.slice;
    // Whole slices are summed, so shares are of whole slices.
    const slices = this.model.slices(begin, end);
    const size = (slices.end - slices.begin) * slice;
    const share = (ns) => (Math.min(1, ns / size) * 100).toFixed(1) + "%";
    const lanes = this.model.lanes.map((lane) => {
      const { time, counts } = lane.sum(this.model.slices(begin, end));
      return [`${lane.name} ${lane.detail}`, share(time[SET]), share(time[CLEAR]), share(time[DIFFER]),
        share(time[UNKNOWN]), share(time[LOADED]), counts[RUNS], counts[LOADS], counts[TRAPS],
        counts[SWITCHES], counts[FINDINGS], counts[LOSSES]];
    });
    const rows = [];
    let more = 0;
    this.model.lanes.slice(0, this.model.vcpus.length).forEach((lane) => {
      const marks = this.marks(lane);
      for (let i = lowerBound(lane.allBegins, begin); i < marks.length && marks[i].begin <= end; i++) {
        if (rows.length < 2000) rows.push([marks[i].begin, lane, marks[i]]); else more++;
      }
    });
    rows.sort((a, b) => a[0] - b[0]);
    more += Math.max(0, rows.length - 200);
    this.tables.replaceChildren(
      table(`Lanes in view, by whole slices of ${span(slice)}: ${this.model.seconds(slices.begin * slice)} \u2026 `
        + `${this.model.seconds(slices.end * slice)} s`,
        ["lane", "guest, bits 1", "bits 0", "differ", "not known", "loaded", "runs", "loads", "traps",
          "runs switched", "findings", "losses"], lanes),
      table("Marks in view" + (more ? ` (the first 200; ${more} more: zoom in)` : "")
        + (this.model.isWhole(begin, end) || this.model.whole.some(() => false) ? "" : "; single marks are kept "
          + "at the recording's beginning and around findings"),
        ["lane", "mark"], rows.slice(0, 200).map(([, lane, mark]) => [lane.name, this.words(lane, mark)])));
  }

  // MARK: Mouse, touch and keys

  listen() {
    const canvas = this.canvas;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.stage.addEventListener("wheel", (event) => {
      const [x] = place(event);
      if (event.ctrlKey || event.metaKey || event.altKey) {
        event.preventDefault();
        const delta = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
        this.zoom(Math.exp(Math.max(-1, Math.min(1, delta * 0.003))), this.painter.time(Math.max(GUTTER, x)));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        this.pan((event.deltaX || event.deltaY) / 1000);
      }
    }, { passive: false });
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const [x, y] = place(event);
      drag = { x, y, begin: this.view.begin, end: this.view.end, isRange: event.shiftKey, moved: false };
      canvas.setPointerCapture(event.pointerId);
      this.tip.hidden = true;
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (!drag) return this.hover(x, y, event);
      if (Math.abs(x - drag.x) > 3) drag.moved = true;
      if (!drag.moved) return;
      this.stage.classList.add("dragging");
      if (drag.isRange) {
        this.draw();
        const c = this.painter.c;
        c.globalAlpha = 0.25;
        c.fillStyle = this.palette.focus;
        c.fillRect(Math.min(x, drag.x), AXIS, Math.abs(x - drag.x), this.height);
        c.globalAlpha = 1;
      } else {
        const shift = (drag.x - x) / this.painter.scale;
        this.show(drag.begin + shift, drag.end + shift);
      }
    });
    const drop = (event) => {
      if (!drag) return;
      const [x, y] = place(event);
      const was = drag;
      drag = null;
      this.stage.classList.remove("dragging");
      if (was.isRange && was.moved) {
        const a = this.painter.time(Math.min(x, was.x)), b = this.painter.time(Math.max(x, was.x));
        this.show(a, b);
      } else if (!was.moved) {
        this.choose(x, y);
      }
    };
    canvas.addEventListener("pointerup", drop);
    canvas.addEventListener("pointercancel", () => { drag = null; });
    canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    canvas.addEventListener("dblclick", (event) => {
      const [x] = place(event);
      if (x > GUTTER) this.zoom(0.25, this.painter.time(x));
    });
    this.listenOverview();
    this.stage.addEventListener("scroll", () => this.refresh(), { passive: true });
    this.stage.addEventListener("focus", () => this.refresh());
    this.stage.addEventListener("blur", () => this.refresh());
    this.stage.addEventListener("keydown", (event) => this.press(event));
    this.alternative.addEventListener("toggle", () => this.refresh());
    new ResizeObserver(() => this.refresh()).observe(this.stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
    addEventListener("beforeprint", () => {
      document.documentElement.classList.add("printing");
      this.repaint(true);
    });
    addEventListener("afterprint", () => {
      document.documentElement.classList.remove("printing");
      this.repaint();
    });
  }

  repaint(isPrinting = false) {
    this.palette = new Palette(document.documentElement);
    this.legend();
    this.draw(isPrinting);
  }

  listenOverview() {
    const canvas = this.overview;
    let drag = null;
    const at = (event) => {
      const x = event.clientX - canvas.getBoundingClientRect().left;
      return this.overviewPainter.time(Math.max(GUTTER, x));
    };
    canvas.addEventListener("pointerdown", (event) => {
      const time = at(event);
      const size = this.view.end - this.view.begin;
      const isInside = time > this.view.begin && time < this.view.end
        && size < (this.full.end - this.full.begin) * 0.98;
      drag = { time, begin: this.view.begin, isInside, size };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const time = at(event);
      if (drag.isInside) this.show(drag.begin + time - drag.time, drag.begin + time - drag.time + drag.size);
      else this.show(Math.min(time, drag.time), Math.max(time, drag.time));
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!drag) return;
      const time = at(event);
      // A click outside the view moves the view there.
      if (!drag.isInside && Math.abs(time - drag.time) * this.overviewPainter.scale < 3) {
        this.show(time - drag.size / 2, time + drag.size / 2);
      }
      drag = null;
    });
  }

  hover(x, y, event) {
    const found = this.find(x, y);
    const words = found && this.hoverWords(found);
    this.tip.hidden = !words;
    if (!words) return;
    this.tip.textContent = `${found.lane.name}\n${words}`;
    const box = this.tip.getBoundingClientRect();
    const left = event.clientX + 14 + box.width > innerWidth ? event.clientX - 14 - box.width : event.clientX + 14;
    const top = event.clientY + 16 + box.height > innerHeight ? event.clientY - 12 - box.height : event.clientY + 16;
    this.tip.style.left = Math.max(4, left) + "px";
    this.tip.style.top = Math.max(4, top) + "px";
  }

  choose(x, y) {
    this.stage.focus({ preventScroll: true });
    const found = this.find(x, y);
    if (!found) return;
    this.selected = { lane: found.number, mark: null };
    if (found.mark) {
      const { begin, key, kind } = found.mark;
      this.selected.mark = this.marks(found.lane).find((m) => m.begin === begin && m.key === key && m.kind === kind) || null;
      this.say(found.lane.name, this.words(found.lane, found.mark));
      this.root.dataset.chosen = this.words(found.lane, found.mark);
    } else {
      const words = this.hoverWords(found);
      if (words) this.say(found.lane.name, words.replaceAll("\n", "; "));
    }
    this.refresh();
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => this.pan(event.shiftKey ? -0.5 : -0.1),
      ArrowRight: () => this.pan(event.shiftKey ? 0.5 : 0.1),
      ArrowUp: () => { this.selectLane(this.selected.lane - 1); this.sayLane(); },
      ArrowDown: () => { this.selectLane(this.selected.lane + 1); this.sayLane(); },
      PageUp: () => this.pan(-1), PageDown: () => this.pan(1),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), "_": () => this.zoom(2),
      "0": () => this.show(this.full.begin, this.full.end),
      Home: () => this.show(this.full.begin, this.full.begin + this.view.end - this.view.begin),
      End: () => this.show(this.full.end - (this.view.end - this.view.begin), this.full.end),
      ",": () => this.step(-1), ".": () => this.step(1),
      n: () => this.nextFlag(1), p: () => this.nextFlag(-1),
      Escape: () => { this.evidence = []; this.selected.mark = null; this.refresh(); },
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  sayLane() {
    const lane = this.model.lanes[this.selected.lane];
    const { time, counts } = lane.sum(this.model.slices(this.view.begin, this.view.end));
    this.say(lane.name, `in view: ${counts[RUNS]} runs, ${counts[LOADS]} loads, ${counts[TRAPS]} traps, `
      + `${counts[SWITCHES]} runs with keys switched, bits 1 for ${span(time[SET])}, `
      + `not known for ${span(time[UNKNOWN])}`);
  }
}

const timelines = [];
for (const section of document.querySelectorAll("section.timeline")) {
  if (section.querySelector(".picture")) timelines.push(new Timeline(section, timelines.length));
}

/** Shows the view that the page's address names. */
function goToAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  if (!parameters.has("t")) return;
  const timeline = timelines[Number(parameters.get("timeline") || 0)];
  if (timeline) timeline.go(parameters);
}
addEventListener("hashchange", goToAddress);
goToAddress();

document.documentElement.dataset.ready = Math.round(performance.now());

document.addEventListener("click", (event) => {
  const button = event.target.closest(".jump");
  if (!button) return;
  const timeline = timelines[Number(button.dataset.timeline || 0)];
  if (!timeline) return;
  const number = button.dataset.evidence === undefined ? undefined : Number(button.dataset.evidence);
  timeline.jump(Number(button.dataset.finding), number);
});
