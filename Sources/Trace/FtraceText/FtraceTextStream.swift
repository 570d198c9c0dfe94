import Bytes

/// A recording as text that comes through a pipe, perhaps while it is being made: trace_pipe over
/// ssh, `trace-cmd report`, `perf script`.
///
/// Memory is bounded: a piece of input, a line, and the events of a ``ReorderWindow``.
struct FtraceTextStream: ~Copyable {
  private var stream: ByteStream?
  private let watch: StreamWatch?
  /// What is known before the first line: nothing but what it is.
  private(set) var recording: Recording
  private(set) var losses = Losses()
  private(set) var firstTimeByCPU: [Int32: UInt64] = [:]
  private(set) var lastTimeByCPU: [Int32: UInt64] = [:]

  /// Bytes in which something must look like a text of ftrace.
  private static let startCount: UInt64 = 1 << 16
  private static let pieceSize = 1 << 16

  init(_ stream: consuming ByteStream, watch: StreamWatch?, path: String) {
    self.stream = consume stream
    self.watch = watch
    recording = Recording(
      path: path, format: "ftrace text, a stream", byteCount: 0, clock: "unknown (text)")
  }

  /// Delivers all events, in time order as far as that can be known. A stream can be read once.
  mutating func readEvents(
    _ observer: StreamObserver?, _ body: (borrowing Event) -> Void
  ) throws(TraceError) {
    guard let input = stream.take() else {
      throw TraceError(.cannotReread, path: recording.path)
    }
    var pass = TextStreamPass()
    var byteCount: UInt64 = 0
    var known = 0
    reading: while true {
      switch try next(input) {
      case .bytes(let piece):
        byteCount += UInt64(piece.count)
        pass.take(piece)
        while known < pass.scan.table.events.count {
          observer?.learned(pass.scan.table.events[known].recorded)
          known += 1
        }
        pass.deliver(now: StreamWatch.now, body)
      case .silence:
        pass.deliverAll(body)
        observer?.silent()
      case .end: break reading
      }
      if byteCount >= Self.startCount, !pass.scan.looksLikeText {
        throw TraceError(pass.scan.refusal ?? .isNotFtraceText, path: recording.path)
      }
    }
    let isStopped = watch?.isStopped ?? false
    pass.finish(isStopped: isStopped, body)
    if let refusal = pass.scan.refusal {
      let code = isStopped || byteCount == 0 ? .streamHasNoEvents : refusal
      throw TraceError(code, path: recording.path)
    }
    recording = FtraceTextFile.recording(pass.scan, recording.path, Int(byteCount))
    recording.format += ", a stream"
    recording.warnings += pass.warnings
    losses = pass.losses
    firstTimeByCPU = pass.span.firstByCPU
    lastTimeByCPU = pass.span.lastByCPU
  }

  private func next(_ input: borrowing ByteStream) throws(TraceError) -> ByteStream.Piece {
    do throws(ByteStream.Failure) {
      return try input.next(limit: Self.pieceSize)
    } catch {
      throw TraceError(
        .cannotOpen(reason: SystemMessage.text(error.number)), path: recording.path)
    }
  }
}

extension TextScan {
  /// Something was an event of ftrace, or said that such would come.
  var looksLikeText: Bool { eventCount > 0 || functionCount > 0 || (form.kind != nil) }
}
