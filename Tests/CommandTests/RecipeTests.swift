import Glibc
import Testing
import ptrauth_trace

/// The CI recipes of traces/ci: linted with their systems' own schemas, and what they do with a recording is done.
struct RecipeTests {
  private static let directory = Corpus.root + "/traces/ci/"

  @Test(arguments: ["github-actions.yml", "gitlab-ci.yml", "lava-job.yaml"])
  func yamlIsClean(recipe: String) throws {
    let lint = try Program.run(
      Program.cache + "/venv/bin/yamllint",
      [
        "-s", "-d", "{extends: default, rules: {line-length: {max: 120}}}",
        Self.directory + recipe,
      ])
    #expect(lint.code == 0, "\(lint.output)")
  }

  @Test(arguments: [
    ("github-actions.yml", ["--builtin-schema", "vendor.github-workflows"]),
    ("gitlab-ci.yml", ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
  ])
  func theSystemsSchemaAcceptsIt(recipe: String, schema: [String]) throws {
    let check = try Program.run(
      Program.cache + "/venv/bin/check-jsonschema", schema + [Self.directory + recipe])
    #expect(check.code == 0, "\(check.output)")
  }

  /// The list for a fleet, from what a lab says of a job.
  @Test func aJobsArtifactsAreAList() throws {
    let path = "/tmp/ptrauth-trace-recipe-\(getpid())-\(UInt64.random(in: 0 ... .max)).json"
    defer { unsafe unlink(path) }
    let job = """
      {"id": 7, "device_type": "rock-5b", "log": "https://lab/7/log.txt", "artifacts": [
        {"name": "perf.data", "url": "s3a://lab/7/perf.data"}, {"url": "s3a://lab/7/perf.data"},
        {"vmlinux": "https://lab/7/vmlinux.xz"}, {"trace": ["s3a://lab/7/trace.dat.zst"]},
        "https://lab/7/perf.data.xz?X-Amz-Signature=1", "https://lab/7/trace.txt.gz"]}
      """
    Corpus.write(Array(job.utf8), to: path)
    let list = try Program.run(
      Corpus.root + "/traces/fleet/lava-list", [path, "night=3"])
    #expect(list.code == 0, "\(list.errors)")
    #expect(
      list.output == """
        s3a://lab/7/perf.data\tnight=3\tboard=rock-5b
        s3a://lab/7/trace.dat.zst\tnight=3\tboard=rock-5b
        https://lab/7/perf.data.xz?X-Amz-Signature=1\tnight=3\tboard=rock-5b
        https://lab/7/trace.txt.gz\tnight=3\tboard=rock-5b

        """)
    Corpus.write(Array("{}".utf8), to: path)
    #expect(try Program.run(Corpus.root + "/traces/fleet/lava-list", [path]).code == 2)
    for words in [[path, "night"], [path + ".gone"], [Corpus.root + "/traces/fleet/lava-list"]] {
      let refused = try Program.run(Corpus.root + "/traces/fleet/lava-list", words)
      #expect(refused.code == 64)
      #expect(refused.errors.hasPrefix("lava-list: ") && !refused.errors.contains("Traceback"))
    }
  }

  @Test func shellIsClean() throws {
    let lint = try Program.run("shellcheck", [Self.directory + "kernelci.sh"])
    #expect(lint.code == 0, "\(lint.output)")
  }

  /// Runs a shell script in a scratch directory that has `recordings`, as after the recording job.
  private func run(
    _ script: String, _ recording: String, environment: [String] = []
  ) throws -> Program {
    let around = """
      set -eu
      scratch=$(mktemp -d /tmp/ptrauth-trace-recipe.XXXXXX)
      trap 'rm -rf "$scratch"' EXIT
      cd "$scratch"
      ln -s '\(Corpus.root)/traces/\(recording)' recordings
      PATH='\(Program.command.split(separator: "/").dropLast().map { "/" + $0 }.joined())':$PATH

      """
    return try Program.run("bash", ["-c", around + script], environment: environment)
  }

  private func steps(_ recipe: String, _ options: [String] = []) throws -> String {
    let reader = try Program.validate("recipes.py", [Self.directory + recipe] + options)
    try #require(reader.code == 0, "\(reader.errors)")
    return reader.output
  }

  /// The recording job sets this kernel's probes: with tracepoints alone nothing could be judged.
  @Test(arguments: ["github-actions.yml", "gitlab-ci.yml", "lava-job.yaml"])
  func theProbesAreWritten(recipe: String) throws {
    let script = try steps(recipe, ["--record"])
      .replacing("recordings/vmlinux", with: "recordings/vmlinux.slim.zst")
    let written = try run(script + "sh -n probes.sh && cat probes.sh", "v7-good")
    #expect(written.code == 0, "\(written.errors)")
    #expect(written.output.contains("p:ptrauth/flush kvm_vgic_flush_hwstate "))
    #expect(
      written.output.contains(" host_apgakeyhi_el1="), "with keys, in which missed saves show")
    let text = String(decoding: Corpus.bytes(Self.directory + recipe), as: UTF8.self)
    #expect(text.contains("OUTPUT=perf.data sh probes.sh record "))
    #expect(text.contains("ptrauth-trace redact perf.data recordings/perf.data"), "no key leaves")
  }

  @Test func githubsStepsJudge() throws {
    let script = try steps("github-actions.yml")
    let clean = try run(script + "grep -c '\"ruleId\"' ptrauth.sarif", "deb-6.1-good")
    #expect(clean.code == 0 && clean.output.contains("recordings/perf.data: clean"))
    // A critical rule was not judged: that is no pass.
    let open = try run(script, "v7-good")
    #expect(open.code == 2 && open.output.contains("recordings/perf.data: cannot judge"))
    #expect(open.output.contains("preemptible-host-save are required and were not judged"))
    let faulty = try run(script, "v7-trap-skips-host-save")
    #expect(faulty.code == 1)
    #expect(faulty.output.contains("::error file=arch/arm64/kvm/handle_exit.c,line="))
  }

  @Test func gitlabsStepsJudge() throws {
    let script = try steps("gitlab-ci.yml")
    #expect(try run(script, "deb-6.1-good").code == 0)
    #expect(try run(script, "v7-good").code == 2)
    let faulty = try run("trap 'cat ptrauth.xml' EXIT\n" + script, "v7-trap-skips-host-save")
    #expect(faulty.code == 1 && faulty.output.contains("failures=\"1\""))
  }

  @Test func lavasStepsSignal() throws {
    let run = try run(try steps("lava-job.yaml"), "v7-trap-skips-host-save")
    #expect(run.code == 0)
    #expect(run.output.contains("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=missed-host-save RESULT=fail"))
  }

  @Test func kernelCIsScript() throws {
    let script = "'\(Self.directory)kernelci.sh' results "
    let faulty = try run(
      "\(script) recordings/perf.data && exit 9 || echo ended with $?; cat results/*.json",
      "v7-trap-skips-host-save",
      environment: ["KCIDB_ORIGIN=mylab", "KCIDB_BUILD_ID=mylab:1234"])
    #expect(faulty.output.contains("not ok 1 ptrauth-trace\nended with 1\n"))
    #expect(faulty.output.contains("\"build_id\": \"mylab:1234\""))
    #expect(faulty.output.contains("\"origin\": \"mylab\""))
    let open = try run("\(script) recordings/perf.data", "v7-good")
    #expect(open.code == 4 && open.output.hasPrefix("KTAP version 1\n1..1\n"))
    #expect(
      open.output.contains("  not ok 7 preemptible-host-save # ERROR required and not judged"))
    let both = try run(
      "VMLINUX=recordings/vmlinux.slim.zst \(script) recordings/perf.data nothing", "v7-good")
    #expect(both.code == 4 && both.output.contains("\nnot ok 2 ptrauth-trace/nothing # ERROR "))
    #expect(try run("\(script)", "v7-good").code == 64)
  }

  /// The README names every recipe, and no other.
  @Test func theReadmeNamesThem() {
    let readme = String(decoding: Corpus.bytes(Corpus.root + "/README.md"), as: UTF8.self)
    for recipe in ["github-actions.yml", "gitlab-ci.yml", "lava-job.yaml", "kernelci.sh"] {
      #expect(readme.contains("traces/ci/\(recipe)"))
    }
  }
}
