import Glibc

/// Recordings and sample files that lie beside the package, in `../shared`.
enum Corpus {
  static let root =
    String(#filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 })
    + "/shared"

  static var isPresent: Bool { unsafe access(root + "/recordings/README.md", R_OK) == 0 }
  static var hasPerf: Bool { Command.output("perf --version") != nil }

  /// All files below `folder` whose name fits.
  static func files(_ folder: String, where fits: (String) -> Bool) -> [String] {
    let listing = Command.output("find '\(root)/\(folder)' -type f") ?? ""
    return listing.split(separator: "\n").map(String.init).filter(fits).sorted()
  }

  private static let traces =
    String(#filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }) + "/traces"

  /// The trace.dat of traces/.
  static var traceDats: [String] { ["\(traces)/v7-good/trace.dat"] }

  /// Those of traces/, and those kept beside the package where it is there.
  static var recordings: [String] {
    let own = ["deb-6.1-good", "v7-good", "v7-trap-skips-host-save"].map {
      "\(traces)/\($0)/perf.data"
    }
    return own + files("recordings") { $0.hasSuffix("/perf.data") }
  }
}

/// Runs commands of the shell.
enum Command {
  /// What the command writes; nil when it fails.
  static func output(_ command: String) -> String? {
    run(command).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The bytes of a file.
  static func bytes(_ path: String) -> [UInt8]? { run("cat '\(path)'") }

  private static func run(_ command: String) -> [UInt8]? {
    guard let stream = unsafe popen(command + " 2>/dev/null", "r") else { return nil }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&buffer, 1, buffer.count, stream)
      if count == 0 { break }
      bytes.append(contentsOf: buffer[..<count])
    }
    let status = unsafe pclose(stream)
    return status == 0 ? bytes : nil
  }
}
