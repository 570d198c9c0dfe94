import Bytes
import Fleet
import Regression
import Report

/// Summaries as they are read, line by line: each is added and forgotten.
struct SummaryFiles {
  private(set) var fleet: Fleet
  private let isQuiet: Bool
  private var complaints = 0
  /// A line of a thousand kernels' findings has less.
  private static let lineLimit = 16 << 20
  private static let mostComplaints = 20

  init(by grouping: Grouping, isQuiet: Bool) {
    fleet = Fleet(by: grouping)
    self.isQuiet = isQuiet
  }

  /// A line that is no summary is counted and named, and so is a file that cannot be read on, or has nothing: what it
  /// should have said is not known.
  mutating func read(_ path: String) {
    var number: UInt64 = 0
    var isEmpty = path != "-"
    do throws(ByteStream.Failure) {
      var lines = try StreamLines(path: path, limit: Self.lineLimit)
      while let line = try lines.next() {
        number += 1
        switch line {
        case .tooLong:
          isEmpty = false
          damaged(path, number, "has more than \(Self.lineLimit >> 20) MiB")
        case .whole(let bytes):
          if bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
          isEmpty = false
          do throws(SavedFault) { add(try SavedSummary(bytes)) } catch {
            damaged(path, number, "\(error)")
          }
        }
      }
      if isEmpty { damaged(path, number + 1, "there is no summary in the file") }
    } catch {
      let hint =
        Folder.isDirectory(path)
        ? "; give the files in it, or: cat \(path)/* | ptrauth-trace merge -" : ""
      damaged(path, number + 1, "cannot be read: \(SystemMessage.text(error.number))\(hint)")
    }
  }

  /// Says how many complaints there would be.
  func finish() {
    if !isQuiet, complaints > Self.mostComplaints {
      ProcessState.complain(
        "ptrauth-trace: \(complaints) lines are no summary; the first \(Self.mostComplaints) are named above"
      )
    }
  }

  private mutating func add(_ summary: SavedSummary) {
    switch summary {
    case .tally(let tally, let group): fleet.add(tally, of: group)
    case .damaged(let lines): fleet.damaged.merge(lines)
    }
  }

  private mutating func damaged(_ path: String, _ number: UInt64, _ why: String) {
    complaints += 1
    fleet.damaged.add("\(path == "-" ? "standard input" : path.lastComponent):\(number)", 1)
    guard !isQuiet, complaints <= Self.mostComplaints else { return }
    let name = path == "-" ? "standard input" : path
    ProcessState.complain("ptrauth-trace: \(name), line \(number): \(why)")
  }
}

extension SummaryFiles {
  /// The recordings of a file of summaries, by kernel; nil if it is none.
  static func samples(_ path: String) throws(Problem) -> [Sample]? {
    guard path != "-", !ByteStream.isStream(path),
      let head = Folder.head(of: path, count: 64),
      // Another program may have put blanks into the line.
      head.filter({ !$0.isBlank }).starts(with: #"{"schema":"ptrauth-trace/summary/"#.utf8)
    else { return nil }
    var files = SummaryFiles(by: .kernels, isQuiet: false)
    files.read(path)
    files.finish()
    guard files.fleet.damaged.isEmpty else {
      throw Problem(
        "\(path): \(files.fleet.damaged.total) of its lines are no summaries: what they said is not known"
      )
    }
    var samples: [Sample] = []
    for (group, tally) in files.fleet.sorted {
      guard
        let sample = Sample(tally, name: "\(path): \(group.words)", kernel: kernel(group, tally))
      else {
        throw Problem(
          "\(path): has more than \(Sample.mostMerged) recordings of a kernel; compare fewer at a time"
        )
      }
      samples.append(sample)
    }
    return samples
  }

  /// As of a single recording: "6.1.0-56-arm64, scheme 5.16".
  private static func kernel(_ group: Group, _ tally: Tally) -> String {
    let schemes = tally.schemes.sorted.map(\.name).joined(separator: " or ")
    return [group.kernel?.release?.text, schemes.isEmpty ? nil : "scheme \(schemes)"]
      .compactMap(\.self).joined(separator: ", ")
  }
}

extension UInt8 {
  fileprivate var isBlank: Bool { [0x20, 0x09, 0x0a, 0x0d].contains(self) }
}
