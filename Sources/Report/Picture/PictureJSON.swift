import Ptrauth
package import Replay

/// A ``TimelinePicture`` as the page's script reads it: one JSON object. Times are nanoseconds since
/// `origin`; the numbers of vCPUs are those of `vcpus`.
///
///     schema    "ptrauth-trace/timeline/1", and toolVersion
///     origin    nanoseconds of the recording's clock, as a string (64 bits)
///     begin, end, slice (width of a slice)
///     vcpus     [{name, detail, slices}], in the report's order
///     cpus      [{cpu, slices}]
///               slices: for each that is not empty, empty ones skipped since the last, a mask of the
///               columns that are not 0, and these columns: in the guest with bits 0, 1, different,
///               unknown; loaded (each in thousandths of the slice); runs, loads, traps, runs with
///               keys switched, losses, findings; the other kind's number plus 1
///     keys      what marks are: ["run", vcpu, cpu, ret, ec, api, apk, basis, api, apk, basis],
///               ["load" | "put", vcpu, cpu, implied], ["trap", vcpu, cpu, ec, register, write, answer],
///               ["loss", cpu, count], ["finding", rule, level, vcpu, cpu]
///     marks     t (since the mark before), d (duration; -1: never ended), k (index of keys)
///     whole     [[begin, end]]: where marks are all there are
///     flags     t, k: losses and findings; flagsLeftOut
///     gaps      [[cpu, begin, end]]: after a loss nothing is known of the pCPU until its next run
///     findings  [{rule, level, vcpus, evidence: [[t, cpu, event, detail]]}], in the report's order
package enum PictureJSON {
  package static func render(_ picture: TimelinePicture, _ analysis: Analysis) -> [UInt8] {
    let order = LaneOrder(picture, analysis)
    var json = JSONWriter(pretty: false)
    json.object { json in
      json.begin(.picture)
      json.field("origin", String(picture.origin))
      json.field("begin", picture.begin - picture.origin)
      json.field("end", picture.end - picture.origin)
      json.field("slice", picture.sliceWidth)
      json.key("vcpus")
      json.array { json in
        for lane in order.lanes {
          json.object { json in
            json.field("name", lane.name)
            json.field("detail", lane.detail)
            slices(picture.vcpus[lane.number].lane, picture, nil, &json)
          }
        }
      }
      json.key("cpus")
      json.array { json in
        for cpu in picture.cpus {
          json.object { json in
            json.field("cpu", cpu.cpu)
            slices(cpu.lane, picture, order, &json)
          }
        }
      }
      marks(picture, order, &json)
      json.field("lanesLeftOut", picture.lanesLeftOut)
      findings(picture, analysis, order, &json)
    }
    return json.bytes
  }

  private static func slices(
    _ lane: TimelinePicture.Lane, _ picture: TimelinePicture, _ order: LaneOrder?,
    _ json: inout JSONWriter
  ) {
    json.key("slices")
    json.array { json in
      var skipped = 0
      for slice in lane.slices {
        if slice.isEmpty {
          skipped += 1
          continue
        }
        var columns: [UInt64] = []
        for i in 0..<5 {
          let share = slice.time[i].multipliedFullWidth(by: 1000)
          let (thousandths, rest) =
            share.high < picture.sliceWidth
            ? picture.sliceWidth.dividingFullWidth(share) : (1000, 0)
          columns.append(thousandths + (thousandths == 0 && rest > 0 ? 1 : 0))
        }
        for i in 0..<6 { columns.append(UInt64(slice.count[i])) }
        let partner = slice.partner
        let named =
          partner < 0 ? partner : order.map { Int32($0.position(Int(partner))) } ?? partner
        columns.append(UInt64(max(0, Int64(named) + 1)))
        json.value(skipped)
        json.value(columns.indices.reduce(0) { $0 | (columns[$1] == 0 ? 0 : 1 << $1) })
        for column in columns where column != 0 { json.value(column) }
        skipped = 0
      }
    }
  }

  private static func marks(
    _ picture: TimelinePicture, _ order: LaneOrder, _ json: inout JSONWriter
  ) {
    // Only the keys that are used, numbered as they come.
    var used: [Int32: Int] = [:]
    var keys: [TimelineMark] = []
    func number(_ mark: Int32) -> Int {
      if let known = used[mark] { return known }
      used[mark] = keys.count
      keys.append(picture.keys[Int(mark)])
      return keys.count - 1
    }
    let markNumbers = picture.marks.map { number($0.mark) }
    let flagNumbers = picture.flags.map { number($0.mark) }
    json.key("keys")
    json.array { json in for key in keys { self.key(key, order, &json) } }
    json.key("marks")
    json.object { json in
      json.key("t")
      json.array { json in
        var last = picture.origin
        for mark in picture.marks {
          json.value(mark.begin - last)
          last = mark.begin
        }
      }
      json.key("d")
      json.array { json in
        for mark in picture.marks {
          if mark.isOpen { json.value(-1) } else { json.value(mark.end - mark.begin) }
        }
      }
      json.key("k")
      json.array { json in for number in markNumbers { json.value(number) } }
    }
    json.key("whole")
    json.array { json in
      for range in picture.whole {
        json.array { json in
          json.value(max(range.lowerBound, picture.origin) - picture.origin)
          json.value(max(range.upperBound, picture.origin) - picture.origin)
        }
      }
    }
    json.key("flags")
    json.object { json in
      json.key("t")
      json.array { json in for flag in picture.flags { json.value(flag.begin - picture.origin) } }
      json.key("k")
      json.array { json in for number in flagNumbers { json.value(number) } }
    }
    json.field("flagsLeftOut", picture.flagsLeftOut)
    json.key("gaps")
    json.array { json in
      for gap in picture.gaps {
        json.array { json in
          json.value(gap.cpu)
          json.value(gap.begin - picture.origin)
          json.value(gap.end - picture.origin)
        }
      }
    }
  }

  private static func key(_ mark: TimelineMark, _ order: LaneOrder, _ json: inout JSONWriter) {
    json.array { json in
      switch mark {
      case .run(let lane, let cpu, let ret, let ec, let entry, let exit):
        json.value("run")
        json.value(order.position(lane))
        json.value(cpu)
        json.value(ret.map(exceptionName))
        json.value(ec)
        for known in [entry, exit] {
          json.value(known.bits.api.value)
          json.value(known.bits.apk.value)
          json.value(known.basis.word)
        }
      case .load(let lane, let cpu, let isImplied), .put(let lane, let cpu, let isImplied):
        if case .load = mark { json.value("load") } else { json.value("put") }
        json.value(order.position(lane))
        json.value(cpu)
        json.value(isImplied)
      case .trap(let lane, let cpu, let trap, let answer):
        json.value("trap")
        json.value(order.position(lane))
        json.value(cpu)
        switch trap {
        case .instruction:
          json.value(9)
          json.null()
          json.null()
        case .register(let access):
          json.value(0x18)
          json.value(access.register.name)
          json.value(access.isWrite)
        }
        json.value(answer.word)
      case .loss(let cpu, let count):
        json.value("loss")
        json.value(cpu)
        json.value(count)
      case .finding(let rule, let level, let lane, let cpu):
        json.value("finding")
        json.value(rule.id)
        json.value(level.word)
        json.value(lane.map(order.position))
        json.value(cpu)
      }
    }
  }

  private static func findings(
    _ picture: TimelinePicture, _ analysis: Analysis, _ order: LaneOrder, _ json: inout JSONWriter
  ) {
    json.key("findings")
    json.array { json in
      for finding in analysis.findings {
        json.object { json in
          json.field("rule", finding.rule.id)
          json.field("level", finding.level.word)
          json.key("vcpus")
          json.array { json in
            for vcpu in finding.vcpus { json.value(order.position(of: vcpu.identity)) }
          }
          json.key("evidence")
          json.array { json in
            for evidence in finding.evidence {
              json.array { json in
                json.value(Int64(bitPattern: evidence.moment.time &- picture.origin))
                json.value(evidence.moment.cpu)
                json.value(evidence.event)
                json.value(evidence.detail)
              }
            }
          }
        }
      }
    }
  }
}
