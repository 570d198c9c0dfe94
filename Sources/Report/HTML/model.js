"use strict";
// What the page's JSON says, unpacked for drawing. Times are nanoseconds since the picture's origin.

const STATES = 5, COUNTS = 6;
const CLEAR = 0, SET = 1, DIFFER = 2, UNKNOWN = 3, LOADED = 4;
const RUNS = 0, LOADS = 1, TRAPS = 2, SWITCHES = 3, LOSSES = 4, FINDINGS = 5;

/** Index of the first element of sorted `list` that is not less than `value`. */
function lowerBound(list, value) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

/** Slices of one width: time in each state (ns), counts, and the other kind's number. */
class Level {
  constructor(count, width) {
    this.count = count;
    this.width = width;
    this.time = Array.from({ length: STATES }, () => new Float64Array(count));
    this.counts = Array.from({ length: COUNTS }, () => new Float64Array(count));
    this.partner = new Int32Array(count).fill(-1);
  }

  /** The next level: slices twice as wide. */
  wider() {
    const next = new Level((this.count + 1) >> 1, this.width * 2);
    for (let i = 0; i < this.count; i++) {
      const j = i >> 1;
      for (let s = 0; s < STATES; s++) next.time[s][j] += this.time[s][i];
      for (let c = 0; c < COUNTS; c++) next.counts[c][j] += this.counts[c][i];
      if (this.partner[i] >= 0) next.partner[j] = this.partner[i];
    }
    return next;
  }

  static read(packed, width) {
    let count = 0;
    for (let p = 0; p < packed.length;) {
      count += packed[p] + 1;
      p = p + 2 + bitCount(packed[p + 1]);
    }
    const level = new Level(Math.max(1, count), width);
    let i = -1;
    for (let p = 0; p < packed.length;) {
      i += packed[p++] + 1;
      const mask = packed[p++];
      for (let c = 0; c < STATES + COUNTS + 1; c++) {
        if (!(mask & (1 << c))) continue;
        const value = packed[p++];
        if (c < STATES) level.time[c][i] = value * width / 1000;
        else if (c < STATES + COUNTS) level.counts[c - STATES][i] = value;
        else level.partner[i] = value - 1;
      }
    }
    return level;
  }
}

function bitCount(mask) {
  let count = 0;
  for (; mask; mask &= mask - 1) count++;
  return count;
}

/** One vCPU or pCPU: slices at every width, and the single marks that were kept. */
class Lane {
  constructor(kind, number, name, detail, packed, width) {
    this.kind = kind;
    this.number = number;
    this.name = name;
    this.detail = detail;
    this.levels = [Level.read(packed, width)];
    while (this.levels[this.levels.length - 1].count > 1) {
      this.levels.push(this.levels[this.levels.length - 1].wider());
    }
    this.runs = new Spans();
    this.loads = new Spans();
    this.points = new Spans();
    this.flags = new Spans();
    this.gaps = new Spans();
  }

  /** Sums over the finest slices from `begin` up to `end`. */
  sum({ begin, end }) {
    const level = this.levels[0];
    const total = { time: new Float64Array(STATES), counts: new Float64Array(COUNTS) };
    for (let i = begin; i < Math.min(end, level.count); i++) {
      for (let s = 0; s < STATES; s++) total.time[s] += level.time[s][i];
      for (let c = 0; c < COUNTS; c++) total.counts[c] += level.counts[c][i];
    }
    return total;
  }
}

/** Things with a begin, an end and a key, by begin. */
class Spans {
  constructor() { this.begin = []; this.end = []; this.key = []; }
  push(begin, end, key) { this.begin.push(begin); this.end.push(end); this.key.push(key); }
  get length() { return this.begin.length; }
  /** By begin; and how far back something may begin that reaches into a view. */
  settle() {
    let sorted = true, longest = 0;
    for (let i = 0; i < this.begin.length; i++) {
      if (i && this.begin[i] < this.begin[i - 1]) sorted = false;
      longest = Math.max(longest, this.end[i] - this.begin[i]);
    }
    if (!sorted) {
      const order = this.begin.map((_, i) => i).sort((a, b) => this.begin[a] - this.begin[b]);
      for (const list of ["begin", "end", "key"]) this[list] = order.map((i) => this[list][i]);
    }
    // The latest end up to each: the first that can reach a time is found by it.
    this.reach = new Float64Array(this.begin.length);
    let reach = -Infinity;
    for (let i = 0; i < this.begin.length; i++) this.reach[i] = reach = Math.max(reach, this.end[i]);
  }
  /** Indices [from, to) of what may touch begin..end. */
  range(begin, end) {
    return [lowerBound(this.reach, begin), lowerBound(this.begin, end + 1)];
  }
}

class Model {
  constructor(data) {
    this.data = data;
    this.origin = BigInt(data.origin);
    this.begin = data.begin;
    this.end = Math.max(data.end, data.begin + 1);
    // A proof may begin before the first mark.
    for (const { evidence } of data.findings) {
      for (const [time] of evidence) {
        this.begin = Math.min(this.begin, time);
        this.end = Math.max(this.end, time);
      }
    }
    this.keys = data.keys;
    this.whole = data.whole;
    this.vcpus = data.vcpus.map((v, i) => new Lane("vcpu", i, v.name, v.detail, v.slices, data.slice));
    this.cpus = data.cpus.map((c) =>
      new Lane("pcpu", c.cpu, "pCPU " + c.cpu, "", c.slices, data.slice));
    this.lanes = this.vcpus.concat(this.cpus);
    this.byCPU = new Map(this.cpus.map((lane) => [lane.number, lane]));
    this.readMarks();
    this.readFlags();
    for (const [cpu, begin, end] of data.gaps) {
      const lane = this.byCPU.get(cpu);
      if (lane) lane.gaps.push(begin, end, -1);
    }
    for (const lane of this.lanes) {
      lane.runs.settle(); lane.loads.settle(); lane.points.settle(); lane.flags.settle();
      lane.gaps.settle();
    }
    this.findings = data.findings;
  }

  readMarks() {
    const { t, d, k } = this.data.marks;
    this.times = new Float64Array(t.length);
    const open = new Map();
    let time = 0, segment = 0;
    for (let i = 0; i < t.length; i++) {
      time += t[i];
      this.times[i] = time;
      while (segment + 1 < this.whole.length && time >= this.whole[segment + 1][0]) segment++;
      const key = this.keys[k[i]];
      const lane = this.vcpus[key[1]];
      const cpu = this.byCPU.get(key[2]);
      const end = time + Math.max(0, d[i]);
      if (key[0] === "run") {
        if (lane) lane.runs.push(time, end, i);
        if (cpu) cpu.runs.push(time, end, i);
      } else if (key[0] === "load") {
        this.closeLoad(open, key[1], null);
        open.set(key[1], { begin: time, cpu: key[2], segment, mark: i });
      } else if (key[0] === "put") {
        const load = open.get(key[1]);
        if (load && load.segment !== segment) this.closeLoad(open, key[1], null);
        if (!open.has(key[1])) {
          // Loaded before these marks begin.
          open.set(key[1], { begin: this.whole[segment][0], cpu: key[2], segment, mark: i });
        }
        this.closeLoad(open, key[1], time);
      } else if (lane) {
        lane.points.push(time, time, i);
      }
    }
    for (const number of [...open.keys()]) this.closeLoad(open, number, null);
  }

  closeLoad(open, number, end) {
    const load = open.get(number);
    if (!load) return;
    open.delete(number);
    const lane = this.vcpus[number];
    let stop = end;
    if (stop === null) {
      // Nobody said: the last run there, or the end of what was kept.
      const runs = lane ? lane.runs : null;
      const last = runs && runs.length ? runs.end[runs.length - 1] : load.begin;
      stop = Math.min(Math.max(load.begin, last), this.whole[load.segment][1]);
    }
    if (lane) lane.loads.push(load.begin, stop, load.mark);
    const cpu = this.byCPU.get(load.cpu);
    if (cpu) cpu.loads.push(load.begin, stop, load.mark);
  }

  readFlags() {
    const { t, k } = this.data.flags;
    this.flags = t.map((time, i) => ({ time, key: this.keys[k[i]] }));
    this.flags.forEach((flag, i) => {
      const key = flag.key;
      const loss = key[0] === "loss";
      const lane = loss ? this.byCPU.get(key[1]) : this.vcpus[key[3]] || this.byCPU.get(key[4]);
      if (lane) lane.flags.push(flag.time, flag.time, i);
    });
  }

  key(mark) { return this.keys[this.data.marks.k[mark]]; }
  isOpen(mark) { return this.data.marks.d[mark] < 0; }
  /** Numbers of the finest slices that begin..end touches, of those that the recording has. */
  slices(begin, end) {
    const width = this.data.slice;
    const count = Math.floor(this.end / width) + 1;
    const first = Math.min(Math.max(0, Math.floor(begin / width)), count - 1);
    return { begin: first, end: Math.max(first + 1, Math.min(count, Math.floor(end / width) + 1)) };
  }
  isWhole(begin, end) { return this.whole.some((w) => w[0] <= begin && end <= w[1]); }

  /** The inverse of `seconds`: the picture's time; null if `words` is no number of seconds. */
  time(words) {
    const [, seconds, fraction] = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(words) || [];
    if (seconds === undefined) return null;
    return Number(BigInt(seconds) * 1000000000n + BigInt((fraction || "").padEnd(9, "0")) - this.origin);
  }

  /** Seconds of the recording's clock, as perf script --ns prints them, cut to `decimals`. */
  seconds(time, decimals = 9) {
    const ns = this.origin + BigInt(Math.round(time));
    const fraction = (ns % 1000000000n).toString().padStart(9, "0").slice(0, decimals);
    return (ns / 1000000000n).toString() + (decimals ? "." + fraction : "");
  }
}

/** "12.3 us", as short as it is exact enough. */
function span(ns) {
  const units = [[1e9, "s"], [1e6, "ms"], [1e3, "\u00b5s"]];
  for (const [size, unit] of units) {
    if (ns >= size) return (ns / size).toPrecision(4).replace(/\.?0+$/, "") + " " + unit;
  }
  return Math.round(ns) + " ns";
}

const bit = (value) => value === null ? "?" : String(value);
const bits = (api, apk) => `API=${bit(api)} APK=${bit(apk)}`;

/** Whose keys a pair of bits puts on the pCPU: SET the guest's, CLEAR the host's. */
function keysLive(api, apk) {
  if (api === 1 || apk === 1) return SET;
  return api === 0 && apk === 0 ? CLEAR : UNKNOWN;
}
