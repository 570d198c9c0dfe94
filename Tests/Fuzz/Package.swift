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
      path: "Sources", exclude: ["CFuzzer", "CorpusTests"],
      swiftSettings: [.swiftLanguageMode(.v6)]),
  ]
)
