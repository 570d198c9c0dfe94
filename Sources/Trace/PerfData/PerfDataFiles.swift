import Bytes

/// The files of a perf.data, mapped in a row, and the passes over their records.
struct PerfDataFiles: ~Copyable, Sendable {
  let map: MappedFile
  let parts: Parts
  /// As opening them found it.
  let recording: Recording
  /// Names of the files of a directory.
  private let names: [String]

  init(_ map: consuming MappedFile, names: [String], _ parts: Parts) {
    var recording = parts.recording
    recording.note(map.compression)
    self.recording = recording
    self.parts = parts
    self.names = names
    self.map = map
  }

  func pass(_ body: (borrowing Event) -> Void) throws(TraceError) -> PassResult {
    pass(instructions: nil, body)
  }

  /// - Parameter instructions: takes what samples say about executed instructions, in time order among the
  ///   events; nil: nobody asks.
  func pass(
    instructions: ((borrowing InstructionSample) -> Void)?, _ body: (borrowing Event) -> Void
  ) -> PassResult {
    let hasRounds = !parts.isBackward && names.count <= 1
    var pass = ReadPass(
      parts, rounds: hasRounds ? .count : .ignored, instructions: instructions)
    var stops: [(stop: WalkStop, file: String?)] = []
    if names.count > 1 {
      var merge = PartsMerge(parts.records, wantsInstructions: instructions != nil)
      for (part, stop) in merge.run(map.bytes, &pass, body) {
        var stop = stop
        stop.offset -= UInt64(map.parts[part].lowerBound)
        stops.append((stop, names[part]))
      }
    } else if let part = parts.records.first, let stop = read(part, &pass, body) {
      stops.append((stop, nil))
    }
    return parts.result(of: pass, recording, stops)
  }

  /// After so many bytes of a file the pages that were read are given back.
  private static let stride = 64 << 20

  /// One file of records.
  private func read(
    _ part: Range<Int>, _ pass: inout ReadPass, _ body: ReadPass.Body
  ) -> WalkStop? {
    let file = map.bytes
    if parts.plan.isSwapped {
      var input = ChunkedInput(from: part.lowerBound, to: part.upperBound)
      var walk = ChunkedWalk(parts.plan)
      return walk.run(file, &input, &pass, body)
    }
    var walk = RecordWalk(part)
    var chunks = RecordChunks()
    while walk.offset < part.upperBound, walk.stop == nil {
      walk.advance(to: walk.offset + Self.stride, file, &chunks, &pass, body)
      map.giveBackPages()
    }
    pass.finish(file, chunks, body)
    return walk.stop
  }
}

extension Parts {
  /// What a pass that has come to its end leaves.
  ///
  /// - Parameters:
  ///   - opened: the recording as opening it found it.
  ///   - stops: why files could not be read to their end, in which of several.
  func result(
    of pass: borrowing ReadPass, _ opened: Recording, _ stops: [(stop: WalkStop, file: String?)]
  ) -> PassResult {
    var recording = opened
    for (stop, file) in stops { recording.note(stop, file: file) }
    for (number, source) in plan.sources.enumerated() where source.recorded >= 0 {
      recording.recordedEvents[source.recorded].count += pass.counts[number]
    }
    recording.warnings += plan.complaints.sentences(recording.recordedEvents)
    if recording.kernelText == nil { recording.kernelText = pass.sideBand.kernelText }
    if recording.kernelBuildID == nil { recording.kernelBuildID = pass.sideBand.kernelBuildID }
    recording.threadNames = pass.sideBand.threadNames
    recording.instructionGaps = pass.sideBand.instructionGaps
    recording.warnings += pass.doubts.warnings
    if pass.doubts.areDamage { recording.noteDamage() }
    return PassResult(
      recording: recording, losses: pass.losses, firstTimeByCPU: pass.span.firstByCPU,
      lastTimeByCPU: pass.span.lastByCPU)
  }
}

extension Recording {
  /// - Parameter file: which of several; nil: there is one.
  fileprivate mutating func note(_ stop: WalkStop, file: String?) {
    isIncomplete = true
    warnings.append(
      "the data \(file.map { "of \($0) " } ?? "")cannot be read beyond byte \(stop.offset) (record "
        + "\(stop.record)): \(stop.reason); \(stop.rest) bytes are not used")
    if stop.isDamage { noteDamage() }
  }
}
