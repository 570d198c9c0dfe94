// swift-tools-version: 6.2
import PackageDescription

// Built by .ci/fuzz alone, with -sanitize=fuzzer,address: users never build it.
let package = Package(
  name: "ptrauth-trace-fuzz",
  // A link to the root: a package is known by the last name of its path, and a checkout can have any.
  dependencies: [.package(path: "ptrauth-trace")],
  targets: [
    .systemLibrary(name: "CFuzzer"),
    .executableTarget(
      name: "fuzz",
      dependencies: ["CFuzzer"]
        + ["Trace", "KernelImage", "Replay", "Regression", "Ptrauth"].map {
          .product(name: $0, package: "ptrauth-trace")
        },
      path: "Sources", exclude: ["CFuzzer", "CorpusTests", "Targets/CommandLines.swift"],
      swiftSettings: [.swiftLanguageMode(.v6), .define("FUZZING")]),
    // libFuzzer goes through the counters of the whole program after every execution: of parsers alone it runs
    // several times as many.
    .executableTarget(
      name: "fuzz-parsers",
      dependencies: ["CFuzzer", .product(name: "Trace", package: "ptrauth-trace")],
      path: "Parsers", swiftSettings: [.swiftLanguageMode(.v6), .define("FUZZING")]),
    // Reports, commands and what reads arguments take longer to build than everything else.
    .executableTarget(
      name: "fuzz-commands",
      dependencies: ["CFuzzer", .product(name: "Commands", package: "ptrauth-trace")],
      path: "Commands", swiftSettings: [.swiftLanguageMode(.v6), .define("FUZZING")]),
  ]
)
