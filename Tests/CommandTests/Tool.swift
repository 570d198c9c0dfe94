import Glibc

/// Other programs that read recordings.
enum Tool {
  /// What a command prints, by line; empty when it fails.
  static func lines(_ command: String) -> [Substring] {
    guard let stream = unsafe popen(command + " 2>/dev/null", "r") else { return [] }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, stream)
      if count == 0 { break }
      bytes.append(contentsOf: chunk[..<count])
    }
    guard unsafe pclose(stream) == 0 else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
  }
}
