import ArgumentParser
import Testing
import ptrauth_trace

/// The same option for the same thing in every command.
struct OptionTests {
  private static let commands: [CommandDescription] = {
    (try? CommandDescription.ofProgram().shownSubcommands) ?? []
  }()
  private let recording = "traces/v7-good/perf.data"
  private let vmlinux = "traces/v7-good/vmlinux.slim.zst"

  private func arguments(_ command: String) -> [String: CommandDescription.Argument] {
    var found: [String: CommandDescription.Argument] = [:]
    for argument in Self.commands.first(where: { $0.commandName == command })?.arguments ?? []
    where argument.kind != .positional {
      for name in argument.names ?? [] { found[name.name] = argument }
    }
    return found
  }

  @Test func aNameMeansOneThing() {
    #expect(Self.commands.count == PtrauthTrace.configuration.subcommands.count)
    // Short and long belong together, wherever they are; a value has one name.
    var spellings: [String: Set<String>] = [:]
    var values: [String: Set<String>] = [:]
    for argument in Self.commands.flatMap({ $0.arguments ?? [] }) where argument.shouldDisplay {
      let names = (argument.names ?? []).map(\.name)
      let all = names.sorted().joined(separator: " ")
      for name in names { spellings[name, default: []].insert(all) }
      if let name = names.first, argument.kind == .option {
        values[name, default: []].insert(argument.valueName ?? "")
      }
    }
    for (name, all) in spellings { #expect(all.count == 1, "\(name): \(all.sorted())") }
    for (name, all) in values { #expect(all.count == 1, "\(name): \(all.sorted())") }
    #expect(spellings.count > 30)
  }

  @Test(arguments: ["text", "json", "jsonl", "html", "summary"])
  func moreThreadsSayTheSame(format: String) throws {
    func output(_ jobs: String) throws -> (code: Int32, text: String) {
      let run = try Program.run(
        Program.command,
        ["analyze", "--format", format, "-k", vmlinux, "--jobs", jobs, recording])
      return (run.code, run.output)
    }
    let one = try output("1")
    #expect(one.code == 0 && one.text.utf8.count > 300)
    for jobs in ["2", "64"] { #expect(try output(jobs) == one, "\(jobs)") }
  }

  @Test func jobsAreAtLeastOne() throws {
    for jobs in ["0", "-1", "all"] {
      let run = try Program.run(Program.command, ["analyze", "--jobs=\(jobs)", recording])
      #expect(run.code == 64 && run.errors.contains("jobs"))
    }
    // A manual page is the same whatever machine it was made on.
    #expect(arguments("analyze")["jobs"]?.defaultValue == nil)
  }

  @Test func everyCommandHasWhatItsKindHas() {
    for command in Self.commands.map(\.commandName) {
      let has = Set(arguments(command).keys)
      #expect(has.isSuperset(of: ["help", "h", "version", "output", "o"]), "\(command)")
      if has.contains("format") {
        #expect(has.isSuperset(of: ["color", "no-pager", "quiet", "q"]), "\(command)")
      }
    }
    for command in ["analyze", "info", "whatif"] {
      let has = Set(arguments(command).keys)
      #expect(has.isSuperset(of: ["input", "i"]), "\(command)")
    }
    for command in ["analyze", "info", "whatif", "compare"] {
      let has = Set(arguments(command).keys)
      #expect(
        has.isSuperset(of: [
          "k", "vmlinux", "btf", "all-units", "generation", "formats", "offline", "j", "jobs",
        ]),
        "\(command)")
    }
    for command in ["audit", "probes", "record"] {
      #expect(Set(arguments(command).keys).isSuperset(of: ["k", "vmlinux", "q"]), "\(command)")
    }
  }

  private func output(_ arguments: String...) throws -> String {
    let run = try Program.run(Program.command, arguments)
    #expect(run.code == 0, "\(arguments) \(run.errors)")
    return run.output
  }

  @Test func bothSpellingsAreTheSame() throws {
    #expect(try output("info", recording) == output("info", "-i", recording))
    #expect(try output("whatif", recording) == output("whatif", "--input", recording))
    #expect(
      try output("audit", vmlinux, "--objdump", "none")
        == output("audit", "-k", vmlinux, "--objdump", "none"))
    #expect(try output("probes", vmlinux, "-q") == output("probes", "--vmlinux", vmlinux, "-q"))
    #expect(
      try output("compare", "-q", recording, recording, "--generation", "v7")
        == output("compare", "-q", recording, recording))
    for wrong in [
      ["info", "-i", recording, recording], ["audit"], ["audit", "-k", vmlinux, vmlinux],
      ["probes"], ["redact"], ["redact", recording], ["redact", "-i", recording],
      ["redact", "-o", "/tmp/x", recording, "/tmp/y"],
      ["compare", recording, recording, "--generation", "nonsense"],
    ] {
      #expect(try Program.run(Program.command, wrong).code == 64, "\(wrong)")
    }
  }

  @Test func redactTakesOptionsToo() throws {
    for arguments in [
      [recording, "-"], ["-i", recording, "-"], [recording, "-o", "-"],
      ["-i", recording, "-o", "-"],
    ] {
      let run = try Program.run(
        "sh",
        ["-c", "exec \"$0\" redact \"$@\" | wc -c", Program.command] + arguments)
      #expect(Int(run.output.filter(\.isNumber)) ?? 0 > 100_000, "\(arguments)")
      #expect(run.errors.contains("key values"))
    }
    let quiet = try Program.run(
      Program.command, ["redact", "-q", recording, "-o", "/dev/null"])
    #expect(quiet.code == 0 && quiet.errors.isEmpty)
  }
}
