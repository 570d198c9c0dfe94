import ArgumentParser
import Report

/// What tests are called in formats for CI.
package struct SuiteOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      What the tests of ktap, junit, lava and kcidb are called, wherever the recordings lie; of several recordings \
      each has its file's name behind it.
      """,
      valueName: "name"))
  package var suite = SuiteNames.standard

  func validate() throws {
    guard !suite.isEmpty, suite.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 35 }) else {
      throw ValidationError("--suite \(suite): letters, digits and signs other than # and spaces")
    }
  }
}
