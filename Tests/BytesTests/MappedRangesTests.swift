import Bytes
import Glibc
import Synchronization
import Testing

/// The table that a signal handler reads, written by several threads.
struct MappedRangesTests {
  private final class Kept {
    private let file: MappedFile
    let isNamed: Bool
    init(_ path: String) throws {
      let file = try MappedFile(path: path)
      isNamed = Self.isNamed(file)
      self.file = file
    }

    private static func isNamed(_ file: borrowing MappedFile) -> Bool {
      unsafe file.bytes.withUnsafeBytes { bytes in
        unsafe bytes.baseAddress.map { unsafe MappedRanges.names($0) } ?? false
      }
    }
  }

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs it in this many threads at a time, and comes back when all have.
  private static func inThreads(_ count: Int, _ run: @escaping @Sendable () -> Void) {
    let body = Body(run)
    var threads: [pthread_t] = []
    for _ in 0..<count {
      var thread = pthread_t()
      let context = unsafe Unmanaged.passRetained(body).toOpaque()
      let result = unsafe pthread_create(
        &thread, nil,
        { context in
          if let context = unsafe context {
            unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
          }
          return nil
        }, context)
      if result == 0 { threads.append(thread) }
    }
    #expect(threads.count == count)
    for thread in threads { pthread_join(thread, nil) }
  }

  private static func temporary(size: Int) -> String {
    var template = Array("/tmp/ptrauth-trace-mapped-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&template)
    defer { close(descriptor) }
    ftruncate(descriptor, off_t(size))
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// 3200 files in turn, 160 at a time: more than there are slots, so none may be lost to two that take the same.
  @Test func eachFileOfEachThreadIsNamed() {
    let unnamed = Counter()
    Self.inThreads(4) {
      for _ in 0..<20 {
        do {
          let files = try (0..<40).map { _ in try Kept(#filePath) }
          unnamed.add(files.count { !$0.isNamed })
          // Looks at the files of the other threads, which come and go.
          if MappedRanges.hasShrunk { unnamed.add(1) }
        } catch {
          unnamed.add(1)
        }
      }
    }
    #expect(unnamed.value == 0)
  }

  private final class Counter: Sendable {
    private let count = Atomic(0)
    func add(_ more: Int) { count.wrappingAdd(more, ordering: .relaxed) }
    var value: Int { count.load(ordering: .relaxed) }
  }

  /// All threads meet the new end of the file; one of them says it.
  @Test func threadsThatReadAFileThatShrinksEndInOneSentence() async throws {
    let result = try await #require(
      processExitsWith: .exitCode(7), observing: [\.standardErrorContent]
    ) {
      MappedRanges.endWithSentence(exitCode: 7)
      let path = Self.temporary(size: 1 << 20)
      let sum = Counter()
      Self.inThreads(4) {
        guard let file = try? MappedFile(path: path) else { return }
        sum.add(1)
        while true {
          for place in stride(from: 0, to: file.byteCount, by: 4096) {
            sum.add(Int(file.bytes.u8(at: place) ?? 0))
          }
          // All have mapped it.
          if sum.value == 4 { _ = unsafe truncate(path, 10) }
        }
      }
    }
    let said = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(said.hasPrefix("ptrauth-trace: /tmp/ptrauth-trace-mapped-"))
    #expect(said.split(separator: "\n").count { $0.contains(" became shorter ") } == 1, "\(said)")
    if let path = said.split(separator: " ").dropFirst().first { _ = unsafe unlink(String(path)) }
  }
}
