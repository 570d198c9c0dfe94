import Bytes
import Testing
import Trace

/// Copies of recordings that are directories.
@Suite("Redaction of directories")
struct RedactionFolderTests {
  private static let recording =
    EncodingTests.recordings.first { $0.contains("v7-trap-skips-host-save") } ?? ""

  /// What was recorded, with each key by the order in which its value came first.
  private func events(_ path: String) throws -> (lines: [String], keys: [UInt64]) {
    let file = try RecordingFile(path: path)
    var lines: [String] = []
    var keys: [UInt64] = []
    var numbers: [UInt64: Int] = [:]
    try file.readEvents { event in
      var line = "\(event.time) \(event.cpu) \(event.tid)"
      if case .probe(let hit) = event.payload {
        for slots in [hit.fields.guestKeys, hit.fields.hostKeys].compactMap(\.self) {
          for index in 0..<10 {
            let value = slots.registers[index]
            if numbers[value] == nil { keys.append(value) }
            numbers[value] = numbers[value] ?? numbers.count
            line += " \(numbers[value] ?? 0)"
          }
        }
      }
      lines.append(line)
    }
    return (lines, keys)
  }

  private func holds(_ bytes: [UInt8], _ secrets: Set<UInt64>) -> Bool {
    var value: UInt64 = 0
    for byte in bytes {
      value = value >> 8 | UInt64(byte) << 56
      if secrets.contains(value) { return true }
    }
    return false
  }

  @Test(arguments: [1, 3])
  func perfDirectory(count: Int) throws {
    let folder = EncodingTests.directory(of: try bytes(Self.recording), count: count)
    let place = TemporaryFolder()
    let copy = place.path + "/copy"
    let replaced = try Redaction.copy(folder.path, to: copy)
    #expect(replaced > 1000)
    let (before, after) = (try events(folder.path), try events(copy))
    #expect(before.lines == after.lines && before.lines.count > 1000)
    let secrets = Set(before.keys.filter { $0 > UInt64(UInt32.max) && !KeyMasking.isKept($0) })
    #expect(secrets.count > 10)
    #expect(holds(try bytes(folder.path + "/data.0"), secrets), "the search finds keys")
    for name in ["data"] + (0..<count).map({ "data.\($0)" }) {
      let written = try bytes(copy + "/" + name)
      #expect(!holds(written, secrets), "\(name)")
      #expect(written.count == (try bytes(folder.path + "/" + name)).count)
    }
    // Once more: it exists now.
    #expect(throws: Redaction.Failure.self) { try Redaction.copy(folder.path, to: copy) }
  }

  @Test func otherDirectoriesAreRefused() throws {
    let folder = TemporaryFolder()
    folder.write("notes", Array("nothing".utf8))
    let target = folder.path + "/copy"
    let error = #expect(throws: Redaction.Failure.self) {
      try Redaction.copy(folder.path, to: target)
    }
    guard case .recording(let reason)? = error else {
      Issue.record("no reason")
      return
    }
    #expect("\(reason)".contains("is no recording"))
    #expect(!Folder.isDirectory(target))
    #expect(throws: Redaction.Failure.self) { try Redaction.copy(folder.path, to: "-") }
  }
}
