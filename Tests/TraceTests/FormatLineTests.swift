import Bytes
import Testing
import Trace

/// A line of a format is as long as the kernel's are: libtraceevent takes the square of its length.
struct FormatLineTests {
  private func fields(_ line: String) -> Int? {
    let text = Array(
      ("name: kvm_entry\nID: 100\nformat:\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\(line)\n"
        + "\nprint fmt: \"\(String(repeating: "long ", count: 2000))\"\n").utf8)
    return FormatParser(longSize: 8)?.parse(text.rawBytes, system: "kvm")?.fields.count
  }

  @Test func aFieldIsRead() {
    let field =
      "\tfield:\(String(repeating: "unsigned ", count: 400))int f;\toffset:8;\tsize:4;\tsigned:0;"
    #expect(fields(field) == 1)
    #expect(fields(Array(repeating: field, count: 4).joined(separator: "\n")) == 4)
  }

  @Test(arguments: ["unsigned ", "__attribute__((a)) ", "[", "*", " "])
  func aLineThatIsTooLongIsNone(word: String) {
    let many = String(repeating: word, count: 900_000 / word.utf8.count)
    let time = processorTime {
      #expect(fields("\tfield:int \(many) f;\toffset:8;\tsize:4;\tsigned:0;") == nil)
    }
    #expect(time < 5)
  }

  /// Of 23,000 the last ones take no longer than the first: in time of this thread, whatever else runs.
  @Test func manyFormatsTakeTheirTimeEach() {
    guard let parser = FormatParser(longSize: 8) else {
      Issue.record("no memory")
      return
    }
    func time(_ numbers: Range<Int>) -> Double {
      processorTime {
        for number in numbers {
          let text = Array("name: e\nID: \(number)\nformat:\n\nprint fmt: \"\"\n".utf8)
          #expect(parser.parse(text.rawBytes, system: "kvm")?.id == UInt64(number))
        }
      }
    }
    let first = time(0..<3000)
    _ = time(3000..<20_000)
    #expect(time(20_000..<23_000) < 2.5 * first)
  }
}
