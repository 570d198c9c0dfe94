import ArgumentParser

/// Who submits to KCIDB, and for which build.
package struct KCIDBOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The submitting CI system, for --format kcidb: lower-case letters, digits, _.",
      valueName: "name"))
  var kcidbOrigin = "ptrauth_trace"

  @Option(
    name: .customLong("kcidb-build-id"),
    help: ArgumentHelp(
      "The tested build as origin:id; without it, the kernel's build-id under --kcidb-origin.",
      valueName: "id"))
  var kcidbBuildID: String?

  func validate() throws {
    guard Self.isOrigin(kcidbOrigin) else {
      throw ValidationError(
        "--kcidb-origin \(kcidbOrigin): must be lower-case letters, digits and underscores")
    }
    if let kcidbBuildID {
      let origin = kcidbBuildID.prefix { $0 != ":" }
      guard origin.count < kcidbBuildID.count, Self.isOrigin(String(origin)) else {
        throw ValidationError(
          "--kcidb-build-id \(kcidbBuildID): must be origin:id, as in kernelci:6e6b4cf5")
      }
    }
  }

  private static func isOrigin(_ name: String) -> Bool {
    !name.isEmpty
      && name.utf8.allSatisfy {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "_")
      }
  }
}
