import Testing

/// The job of traces/fleet, on a Spark of this machine. Tests/Cluster/fleet-cluster has the same with 500 recordings.
struct FleetJobTests {
  private static let python = Program.cache + "/fleet/bin/python3"
  private static let check = Corpus.root + "/Tests/Cluster/fleet-cluster"

  /// Two workers of which one is killed; lists; recordings that change; queries in Spark and DuckDB.
  @Test func twentyRecordingsOnTwoWorkers() throws {
    let run = try Program.run(
      Self.python, [Self.check, "--program", Program.command, "--recordings", "20"])
    #expect(run.code == 0, "\(run.output)\(run.errors)")
    for said in [
      "every recording has its row, and one", "20 reports are those of single runs",
      "and writes nothing", "queries say the same in Spark and DuckDB", "is a usage error",
    ] {
      #expect(run.output.contains(said))
    }
  }

  /// Its Python is typed, and clean.
  @Test func theJobIsTyped() throws {
    let fleet = Corpus.root + "/traces/fleet"
    let types = try Program.run(
      Self.python,
      ["-m", "mypy", "--cache-dir", "/dev/null", "fleet.py", "tables.py", "listing.py"],
      directory: fleet)
    #expect(types.code == 0, "\(types.output)")
    let lint = try Program.run(
      Self.python,
      ["-m", "ruff", "check", "--no-cache", "--config", "ruff.toml", ".", "lava-list", Self.check],
      directory: fleet)
    #expect(lint.code == 0, "\(lint.output)")
  }
}
