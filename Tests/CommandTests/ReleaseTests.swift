import Report
import Testing

/// What `.ci/release` is made of, as far as that goes without a build: `.ci/install-test` and `.ci/release-matrix`
/// try what it makes.
struct ReleaseTests {
  private static let folder = Corpus.root + "/.ci/"

  @Test func shellIsClean() throws {
    let script = "cd \"$0\" && find . -type f | xargs grep -lE '^#!.*sh$' | xargs shellcheck"
    let lint = try Program.run("sh", ["-c", script, Self.folder])
    #expect(lint.code == 0, "\(lint.output)")
  }

  @Test func theNumberIsRead() throws {
    let script = "\"$0\"package/version < \"$0\"../Sources/Report/ToolVersion.swift"
    let number = try Program.run("sh", ["-c", script, Self.folder])
    #expect(number.output == ToolVersion.number + "\n")
  }

  /// The header of the copy that is built says commit and compiler; without these lines --version would not.
  @Test func theCommitIsWritten() throws {
    let script = """
      set -e
      scratch=$(mktemp -d /tmp/ptrauth-trace-release-test.XXXXXX)
      trap 'rm -rf "$scratch"' EXIT
      mkdir -p "$scratch/Sources"
      cp -R "$0../Sources/CBuild" "$scratch/Sources/"
      "$0"package/named "$scratch" 0123456789ab 6.3.1
      grep '^#define' "$scratch/Sources/CBuild/build.h"
      """
    let header = try Program.run("sh", ["-c", script, Self.folder])
    #expect(
      header.output
        == """
        #define PTRAUTH_TRACE_COMMIT "0123456789ab"
        #define PTRAUTH_TRACE_SWIFT "6.3.1"

        """)
  }

  /// What is missing is named, with the command that installs it.
  @Test func whatIsMissingIsNamed() throws {
    let script = "PATH=/nonexistent /bin/bash \"$0\"package/missing aarch64"
    let said = try Program.run("sh", ["-c", script, Self.folder])
    #expect(said.code == 1)
    #expect(said.errors.contains("mmdebstrap"))
    #expect(said.errors.contains("apt-get install git xz-utils"))
  }
}
