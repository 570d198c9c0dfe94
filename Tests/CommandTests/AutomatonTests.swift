import ArgumentParser
import Explorer
import Ptrauth
import Report
import Testing
import ptrauth_trace

/// `verify --dot`, as the kernel's own tools for models of that language (tools/verification/dot2, later rvgen)
/// read it.
struct AutomatonTests {
  @Test(arguments: Generation.all.map(\.name))
  func theKernelsToolReadsWhatTheModelHas(generation: String) throws {
    for more in [[], ["--features", "none"], ["--nested"]] {
      let command = try Verify.parse(["--generation", generation, "--dot"] + more)
      let automaton = Automaton(try command.setting.setting())
      let read = try Reader.lines("automaton.py", AutomatonDot.render(automaton))
      func names(_ kind: String) -> [String] {
        read.filter { $0.hasPrefix(kind + "\t") }.map { String($0.dropFirst(kind.count + 1)) }
      }
      #expect(names("initial") == [automaton.initial])
      #expect(names("state") == automaton.states)
      #expect(names("final") == [automaton.initial])
      #expect(names("event") == Set(automaton.edges.map(\.event)).sorted())
      // A table of state and event has room for one target: nothing may be missing.
      #expect(automaton.isDeterministic)
      #expect(
        Set(names("edge"))
          == Set(automaton.edges.map { "\($0.from)\t\($0.event)\t\($0.to)" }))
      #expect(!automaton.edges.isEmpty)
    }
  }

  /// Events and states become enumerators of C.
  @Test(arguments: Generation.all.map(\.name))
  func namesAreIdentifiers(generation: String) throws {
    let command = try Verify.parse(["--generation", generation, "--dot"])
    let automaton = Automaton(try command.setting.setting())
    for name in automaton.states + automaton.edges.map(\.event) {
      #expect(name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
      #expect(name.first?.isLetter == true)
    }
  }
}
