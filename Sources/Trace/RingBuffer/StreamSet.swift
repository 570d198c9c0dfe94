import Bytes

/// The CPUs whose events are read: those of one or more instances with one clock, each with the bytes
/// that are its own.
struct StreamSet {
  /// The data of one CPU and what may be read of it.
  private struct Part {
    var data: TraceBuffer.CPU
    var buffer: Int
    var pageSize: Int
    /// Where the next CPU's data begins, or the file ends.
    var limit: UInt64
    /// Events lost between its pages that no page tells of.
    var untold: UInt64
  }

  private var parts: [Part] = []
  private let compression: BlockDecoder.Format?
  private let layout: PageLayout

  /// Bytes of unpacked chunks, of all CPUs together.
  private static let budget = 1 << 31

  /// - Parameter pageSize: of a buffer that does not say its own, in bytes.
  init(
    _ buffers: [TraceBuffer], pageSize common: Int, layout: PageLayout,
    compression: BlockDecoder.Format? = nil, counters: RingBufferCounters, fileSize: UInt64
  ) throws(TraceError) {
    self.compression = compression
    self.layout = layout
    for (index, buffer) in buffers.enumerated() {
      let pageSize = buffer.pageSize ?? common
      guard TraceDatHeader.isPossible(pageSize: pageSize), pageSize > layout.data else {
        throw TraceError(
          .isCorrupt(part: "buffer table", reason: "it says that a page has \(pageSize) bytes"),
          offset: buffer.offset)
      }
      for cpu in buffer.cpus where cpu.size > 0 {
        let untold = counters.untold[buffer.name]?[Int32(truncatingIfNeeded: cpu.number)]
        parts.append(
          Part(data: cpu, buffer: index, pageSize: pageSize, limit: fileSize, untold: untold ?? 0))
      }
    }
    guard parts.count <= Int(TimeSpans.cpuLimit) else {
      throw TraceError(.isCorrupt(part: "buffer table", reason: "it has too many CPUs"))
    }
    // Data that overlaps would be read as often as it is said to be there.
    let order = parts.indices.sorted {
      (parts[$0].data.offset, $0) < (parts[$1].data.offset, $1)
    }
    for (one, next) in zip(order, order.dropFirst()) {
      let start = parts[next].data.offset
      parts[one].limit = min(start, fileSize)
      let (end, overflow) = parts[one].data.offset.addingReportingOverflow(parts[one].data.size)
      // The size of compressed data is not to be trusted.
      guard start > parts[one].data.offset, compression != nil || (!overflow && end <= start) else {
        throw TraceError(
          .isCorrupt(
            part: "buffer table",
            reason: "the data of CPU \(parts[one].data.number) and of CPU "
              + "\(parts[next].data.number) overlap"), offset: start)
      }
    }
  }

  /// Streams at their beginning.
  func streams(_ file: RawSpan) -> [CPUStream] {
    parts.enumerated().map { number, part in
      CPUStream(
        part.data, of: part.buffer, number: number, isCompressed: compression != nil,
        limit: Int(truncatingIfNeeded: min(part.limit, UInt64(file.byteCount))),
        chunkLimit: min(64 * part.pageSize, Self.budget / parts.count),
        pageSize: part.pageSize, layout: layout, untold: part.untold, in: file)
    }
  }

  func slots() throws(TraceError) -> InflatedSlots {
    do throws(BlockDecoder.Failure) {
      return try InflatedSlots(count: compression == nil ? 0 : parts.count, compression)
    } catch {
      throw TraceError(.isCorrupt(part: "data", reason: error.reason))
    }
  }
}
