import Glibc
import Testing

private enum Spark {
  static let isThere: Bool = {
    guard Corpus.exists(Program.cache + "/fleet/stamp"),
      let java = try? Program.run("java", ["-XshowSettings:properties", "-version"]),
      let line = java.errors.split(separator: "\n").first(where: {
        $0.contains("java.specification.version = ")
      }),
      let version = line.split(separator: " ").last.flatMap({ Int($0) })
    else { return false }
    return version >= 17
  }()
}

/// The job of traces/fleet, on Spark of this machine. Tests/Cluster/fleet-cluster has the same on a cluster with 500 recordings.
@Suite(.enabled(if: Spark.isThere, "needs Java from 17 on, and .ci/spark"))
struct FleetJobTests {
  private static let python = Program.cache + "/fleet/bin/python3"
  private static let cluster = Corpus.root + "/Tests/Cluster"

  /// Two workers of which one is killed; lists; recordings that change; queries in Spark and DuckDB.
  @Test(
    .enabled(
      if: unsafe getenv("ASAN_OPTIONS") == nil,
      "the job bounds its programs' address space, of which AddressSanitizer takes terabytes"))
  func twentyRecordingsOnTwoWorkers() throws {
    let run = try Program.run(
      Self.python,
      [
        Self.cluster + "/fleet-cluster", "--program", Program.command, "--recordings", "20",
        "--one-process",
      ])
    #expect(run.code == 0, "\(run.output)\(run.errors)")
    for said in [
      "every recording has its row, and one", "20 reports are those of single runs",
      "and writes nothing", "its token in no report", "queries say the same in Spark and DuckDB",
      "is a usage error", "what is away keeps what was found of it",
    ] {
      #expect(run.output.contains(said))
    }
  }

  /// Its Python is typed, and clean from whatever folder.
  @Test func theJobIsTyped() throws {
    let fleet = Corpus.root + "/traces/fleet"
    for (folder, files) in [
      (
        fleet,
        [
          "fleet.py", "bounds.py", "facts.py", "folders.py", "judging.py", "listing.py",
          "servers.py", "tables.py",
        ]
      ),
      (fleet, ["lava-list"]), (Self.cluster, ["fleet-cluster"]),
    ] {
      let types = try Program.run(
        Self.python,
        ["-m", "mypy", "--cache-dir", "/dev/null", "--config-file", fleet + "/mypy.ini"]
          + ["--scripts-are-modules"] + files,
        directory: folder, environment: ["MYPYPATH=" + fleet])
      #expect(types.code == 0, "\(types.output)")
    }
    for folder in [fleet, "/"] {
      let lint = try Program.run(
        Self.python,
        ["-m", "ruff", "check", "--no-cache", fleet, fleet + "/lava-list", Self.cluster]
          + [Self.cluster + "/fleet-cluster"],
        directory: folder)
      #expect(lint.code == 0, "\(lint.output)")
    }
  }
}
