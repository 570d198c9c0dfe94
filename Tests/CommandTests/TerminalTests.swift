import Testing
import ptrauth_trace

/// What is different on a terminal: colour, a pager, progress.
struct TerminalTests {
  private func onTerminal(
    _ arguments: [String], environment: [String] = []
  ) throws -> Program {
    try Program.run(
      "/usr/bin/python3",
      [Corpus.root + "/Tests/CommandTests/Validators/terminal.py"] + environment
        + [Program.command] + arguments)
  }

  private let faulty = ["analyze", "traces/v7-trap-skips-host-save/perf.data"]
  private let explain = ["explain", "stale-enable"]

  @Test func theFirstPagerOfTheEnvironmentShowsText() throws {
    let perf = try onTerminal(
      explain, environment: ["PERF_PAGER=sed s/^/perf:/", "PAGER=sed s/^/other:/"])
    #expect(perf.output.hasPrefix("perf:") && !perf.output.contains("other:"))
    let other = try onTerminal(explain, environment: ["PAGER=sed s/^/other:/"])
    #expect(other.output.hasPrefix("other:"))
    // The pager has all of it, and the verdict stays the exit code.
    let report = try onTerminal(faulty, environment: ["PAGER=wc -l"])
    let plain = try Program.run(Program.command, faulty)
    // On a slow machine there was a line of progress before it, which was wiped.
    let shown = report.output.split(separator: "\u{1b}[K").last ?? ""
    #expect(
      shown.split(whereSeparator: \.isWhitespace).last
        == "\(plain.output.split(separator: "\n", omittingEmptySubsequences: false).count - 1)")
    #expect(report.code == 1 && plain.code == 1)
  }

  @Test(arguments: [
    (["--no-pager"], ["PAGER=sed s/^/paged:/"]), ([], ["PAGER="]), ([], ["PAGER=cat"]),
    ([], ["PERF_PAGER=cat", "PAGER=sed s/^/paged:/"]),
    (["--format", "json"], ["PAGER=sed s/^/paged:/"]),
    (["-o", "/dev/stderr"], ["PAGER=sed s/^/paged:/"]),
  ])
  func noPager(options: [String], environment: [String]) throws {
    let run = try onTerminal(explain + options, environment: environment)
    #expect(run.code == 0 && !run.output.contains("paged:") && run.output.contains("stale-enable"))
  }

  @Test func withoutATerminalThereIsNoPager() throws {
    let run = try Program.run(
      Program.command, explain, environment: ["PAGER=sed s/^/paged:/"])
    #expect(run.code == 0 && run.output.contains("stale-enable") && !run.output.contains("paged:"))
  }

  /// less, with the options it is given here, leaves a short text on the screen and ends by itself.
  @Test func lessIsTheDefault() throws {
    let run = try onTerminal(["explain"] + ["--color", "never"], environment: ["LINES=500"])
    #expect(run.code == 0 && run.output.contains("stale-enable"))
  }

  @Test func aPagerThatLeavesOrIsMissing() throws {
    for _ in 0..<5 { #expect(try onTerminal(explain, environment: ["PAGER=true"]).code == 0) }
    #expect(try onTerminal(faulty, environment: ["PAGER=true"]).code == 1, "the verdict stays")
    #expect(
      try onTerminal(faulty, environment: ["PAGER=/nonexistent/pager"]).output.contains(
        "nonexistent"))
  }

  @Test func colours() throws {
    let escape = "\u{1b}["
    func isColoured(_ arguments: [String], _ environment: [String]) throws -> Bool {
      try onTerminal(
        faulty + ["--no-pager", "-q"] + arguments, environment: environment
      ).output.contains(escape)
    }
    #expect(try isColoured([], []))
    #expect(try !isColoured([], ["NO_COLOR=1"]))
    #expect(try isColoured([], ["NO_COLOR="]), "no-color.org: when not empty")
    #expect(try !isColoured([], ["TERM=dumb"]))
    #expect(try !isColoured(["--color", "never"], []))
    #expect(try isColoured(["--color=always"], ["NO_COLOR=1"]), "what is asked for is done")
  }

  @Test func colourByEnvironment() {
    func auto(_ isTerminal: Bool, _ environment: [String: String]) -> Bool {
      OutputOptions.ColorChoice.auto.isColoured(isTerminal: isTerminal, environment: environment)
    }
    #expect(auto(true, [:]) && !auto(false, [:]))
    #expect(!auto(true, ["CLICOLOR": "0"]) && auto(true, ["CLICOLOR": "1"]))
    #expect(auto(false, ["CLICOLOR_FORCE": "1"]) && !auto(false, ["CLICOLOR_FORCE": "0"]))
    #expect(!auto(true, ["CLICOLOR_FORCE": "1", "NO_COLOR": "1"]))
  }

  /// Progress comes after a second, only on a terminal, not when quiet, and leaves nothing.
  @Test func progress() throws {
    var progress = Progress(isWanted: false)
    for _ in 0..<10000 { progress.step() }
    progress.end()
    let short = try onTerminal(faulty + ["--no-pager", "--color", "never"])
    #expect(!short.output.contains("k events, 0 s"))
  }
}
