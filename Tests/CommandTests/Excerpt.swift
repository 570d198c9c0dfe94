import Replay
import Report
import Testing
import Trace
import ptrauth_trace

/// The first events of a recording of traces/: so few that the whole of its timeline can be read.
struct Excerpt: CustomTestStringConvertible, Sendable {
  var corpus: Corpus
  var testDescription: String { corpus.name }
  static let all = Corpus.traces.map { Excerpt(corpus: $0) }

  /// Its document with its picture, and its timeline.
  func replay(_ length: Int) throws -> (document: Document, entries: [TimelineEntry]) {
    let session = try Session(
      recording: corpus.recording, vmlinux: corpus.vmlinux, generation: nil)
    var entries: [TimelineEntry] = []
    let events = Array(try corpus.events().prefix(length))
    let analysis = session.replay(events) { entries.append($0) }
    var document = try Documents.relative(session.document(analysis))
    // Coarse, for readers of the data.
    var collector = TimelineCollector(sliceCount: 512)
    for entry in entries { collector.add(entry) }
    document.picture = collector.finish()
    return (document, entries)
  }

  func written(_ writer: some TimelineWriter, _ length: Int) throws -> [UInt8] {
    var writer = writer
    var bytes = writer.begin()
    for entry in try replay(length).entries { bytes += writer.add(entry) }
    return bytes + writer.end()
  }
}

extension Corpus {
  func events() throws -> [Event] {
    var events: [Event] = []
    var file = try PerfDataFile(path: recording)
    try file.readEvents { events.append(copyOf($0)) }
    return events
  }
}
