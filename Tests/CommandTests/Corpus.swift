import Bytes
import Glibc
import Testing

/// The recordings with ground truth: those of traces/, and those of ../shared/recordings where it is there.
struct Corpus: CustomTestStringConvertible, Sendable {
  var name: String
  var directory: String
  /// Where its kernel's vmlinux lies.
  var vmlinux: String

  var testDescription: String { name }
  var recording: String { directory + "/perf.data" }

  static let root: String = {
    // Tests/CommandTests/Corpus.swift
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  static let shared = root + "/../shared/recordings"
  /// $PTRAUTH_TRACE_NAME: how often a test is to do something that it does seldom in CI.
  static func count(_ name: String) -> Int? {
    unsafe getenv("PTRAUTH_TRACE_" + name).flatMap { unsafe Int(String(cString: $0)) }
  }

  static var hasShared: Bool { exists(shared) }

  static func exists(_ path: String) -> Bool { unsafe access(path, R_OK) == 0 }

  /// The folders of traces/ that hold a recording.
  static let traces: [Corpus] = ["deb-6.1-good", "v7-good", "v7-trap-skips-host-save"].map {
    let directory = root + "/traces/" + $0
    return Corpus(
      name: "traces/" + $0, directory: directory, vmlinux: directory + "/vmlinux.slim.zst")
  }

  /// Every `<kernel>/<recording>` of ../shared/recordings with a perf.data and its kernel.
  static let all: [Corpus] = {
    var list = traces
    for kernel in entries(shared) where kernel != "kernels" {
      let image = shared + "/kernels/" + kernel + "/vmlinux.slim.xz"
      guard exists(image) else { continue }
      for name in entries(shared + "/" + kernel) {
        let directory = shared + "/" + kernel + "/" + name
        if exists(directory + "/perf.data") && exists(directory + "/gt.log.zst") {
          list.append(Corpus(name: kernel + "/" + name, directory: directory, vmlinux: image))
        }
      }
    }
    return list
  }()

  private static func entries(_ path: String) -> [String] {
    guard let stream = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }

  static func bytes(_ path: String) -> [UInt8] {
    guard let file = unsafe fopen(path, "r") else { return [] }
    defer { unsafe fclose(file) }
    return unsafe read(file)
  }

  private static func read(_ file: UnsafeMutablePointer<FILE>) -> [UInt8] {
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      if count == 0 { return result }
      result.append(contentsOf: chunk[..<count])
    }
  }

  /// A line of the folder's README: "- planted fault: none".
  func fact(_ key: String) -> String? {
    String(decoding: Self.bytes(directory + "/README.md"), as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("- \(key): ") }.map { String($0.dropFirst(key.count + 4)) }
  }

  static func unpacked(_ path: String) -> [UInt8] {
    let input = unsafe open(path, O_RDONLY)
    guard input >= 0, let output = unsafe tmpfile() else { return [] }
    defer {
      close(input)
      unsafe fclose(output)
    }
    let descriptor = unsafe fileno(output)
    try? Decompressor.decompress(.zstd, from: input, to: descriptor, limit: 1 << 30)
    unsafe rewind(output)
    return unsafe read(output)
  }

  var isLossy: Bool { name.contains("lossy") }
  var hasProbes: Bool { Self.exists(directory + "/kprobe_events.txt") }
}
