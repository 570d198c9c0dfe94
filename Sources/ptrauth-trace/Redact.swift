import ArgumentParser
import Bytes
import Trace

struct Redact: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "redact",
    abstract: "Copy a recording with other key values, so that it can be shared.",
    usage: "ptrauth-trace redact [options] INPUT OUTPUT",
    discussion: """
      Replaces the values of all key slots (apiakeylo_el1 ... host_apgakeyhi_el1) by random ones: equal \
      values stay equal, zero and the value of a vCPU reset stay what they are, so the analysis finds the \
      same. In ring-buffer pages the kernel's leftovers behind the events are cleared. All else \
      is copied as it is: host name, command lines and addresses stay. Compressed records of perf.data \
      are written uncompressed. The copy of a directory (perf record --threads, raw ring buffers) is a \
      new directory, with the files that an analysis reads and no others.

      Examples:
        ptrauth-trace redact perf.data shareable.data
        ptrauth-trace redact -i perf.data -o shareable.data

      Exit codes: 0 written; 2 the recording cannot be rewritten (damaged, cut, packed, \
      big-endian), and no copy is to be used; 64 usage.
      """)

  @Argument(
    help: ArgumentHelp(
      """
      The recording (perf.data, trace.dat, ftrace text, or a directory of perf's or of raw ring buffers), and \
      the copy, - is standard output; what -i and -o say is left out.
      """, valueName: "INPUT OUTPUT"),
    completion: .file())
  var files: [String] = []

  @Option(
    name: [.customShort("i"), .customLong("input")], help: "The recording, as an option.",
    completion: .file())
  var inputOption: String?

  @Option(
    name: [.customShort("o"), .customLong("output")], help: "The copy, as an option.",
    completion: .file())
  var outputOption: String?

  @Flag(name: .shortAndLong, help: "Do not say how many values were replaced.")
  var quiet = false

  /// Both, from wherever they were given; valid after `validate`.
  private var input: String { inputOption ?? files.first ?? "" }
  private var output: String { outputOption ?? files.last ?? "" }

  func validate() throws {
    let options = [inputOption, outputOption].compactMap(\.self).count
    guard files.count + options == 2 else {
      throw ValidationError("give a recording and its copy: INPUT OUTPUT, or -i INPUT -o OUTPUT")
    }
    if input == output { throw ValidationError("the copy must not be the recording itself") }
  }

  func run() throws {
    try ExitDialect.standard.run {
      do throws(Redaction.Failure) {
        let count = try Redaction.copy(input, to: output)
        if quiet { return .clean }
        ProcessState.complain(
          count > 0
            ? "ptrauth-trace: \(count) key values replaced"
            : "ptrauth-trace: there are no key values in \(input); the copy is the same")
      } catch {
        switch error {
        case .recording(let error): throw Problem("\(error)")
        case .output(let error): throw Problem("\(error)")
        }
      }
      return .clean
    }
  }
}
