// swift-tools-version: 6.2
import PackageDescription

/// Language mode 6, strict memory safety as an error, nothing implicit.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "ptrauth-trace",
  products: [
    .executable(name: "ptrauth-trace", targets: ["Start"]),
    .library(name: "Commands", targets: ["ptrauth-trace"]),
    .library(name: "Ptrauth", targets: ["Ptrauth"]),
    .library(name: "Explorer", targets: ["Explorer"]),
    .library(name: "Trace", targets: ["Trace"]),
    .library(name: "KernelImage", targets: ["KernelImage"]),
    .library(name: "Replay", targets: ["Replay"]),
    .library(name: "Regression", targets: ["Regression"]),
    .library(name: "Fleet", targets: ["Fleet"]),
    .library(name: "Report", targets: ["Report"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .systemLibrary(
      name: "CElfutils", pkgConfig: "libdw", providers: [.apt(["libdw-dev", "libelf-dev"])]),
    .systemLibrary(name: "CBpf", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
    .systemLibrary(
      name: "CTraceEvent", pkgConfig: "libtraceevent", providers: [.apt(["libtraceevent-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CLzma", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CBuild"),

    .target(name: "Printing", swiftSettings: settings),
    .target(
      name: "Bytes", dependencies: ["Printing", "CZstd", "CLzma", "CZlib", "CLinux"],
      swiftSettings: settings),
    .target(name: "Ptrauth", swiftSettings: settings),
    .target(name: "Explorer", dependencies: ["Ptrauth"], swiftSettings: settings),
    .target(name: "Observation", dependencies: ["Explorer", "Ptrauth"], swiftSettings: settings),
    .target(name: "Trace", dependencies: ["Bytes", "CTraceEvent"], swiftSettings: settings),
    .target(
      name: "KernelImage", dependencies: ["Ptrauth", "Bytes", "Printing", "CElfutils", "CBpf"],
      swiftSettings: settings),
    .target(
      name: "Replay", dependencies: ["Trace", "KernelImage", "Observation", "Ptrauth"],
      swiftSettings: settings),
    .target(name: "Regression", dependencies: ["Replay", "Ptrauth"], swiftSettings: settings),
    .target(
      name: "Fleet", dependencies: ["Regression", "Replay", "Ptrauth"], swiftSettings: settings),
    .target(
      name: "Probing", dependencies: ["KernelImage", "Printing", "Ptrauth", "Replay"],
      swiftSettings: settings),
    .target(
      name: "Recorder", dependencies: ["Probing", "Trace", "KernelImage", "Bytes"],
      swiftSettings: settings),
    .target(
      name: "Report",
      dependencies: [
        "Fleet", "Regression", "Replay", "Explorer", "Ptrauth", "Printing", "CBuild",
      ],
      resources: [
        .embedInCode("HTML/head.html"), .embedInCode("HTML/report.css"),
        .embedInCode("HTML/model.js"), .embedInCode("HTML/lanes.js"),
        .embedInCode("HTML/timeline.js"),
      ], swiftSettings: settings),
    // A library, so that tests and fuzzers of another package reach it; Start is the program.
    .target(
      name: "ptrauth-trace",
      dependencies: [
        "Report", "Fleet", "Regression", "Recorder", "Probing", "Replay", "Trace", "KernelImage",
        "Explorer", "Ptrauth", "Bytes", "Printing", argumentParser,
      ],
      swiftSettings: settings),
    .executableTarget(name: "Start", dependencies: ["ptrauth-trace"], swiftSettings: settings),

    .testTarget(name: "BytesTests", dependencies: ["Bytes"], swiftSettings: settings),
    .testTarget(name: "PtrauthTests", dependencies: ["Ptrauth"], swiftSettings: settings),
    .testTarget(
      name: "ExplorerTests", dependencies: ["Explorer", "Ptrauth"], swiftSettings: settings),
    .testTarget(
      name: "ObservationTests", dependencies: ["Observation", "Explorer", "Ptrauth"],
      swiftSettings: settings),
    .testTarget(name: "TraceTests", dependencies: ["Trace"], swiftSettings: settings),
    .testTarget(
      name: "KernelImageTests", dependencies: ["KernelImage", "Probing", "Ptrauth"],
      swiftSettings: settings),
    .testTarget(
      name: "ProbingTests", dependencies: ["Probing", "KernelImage", "Bytes"],
      swiftSettings: settings),
    // Records events that every machine has, for the tests of Recorder.
    .executableTarget(
      name: "record-events", dependencies: ["Recorder", "Probing", "Bytes"],
      path: "Tests/RecordEvents",
      swiftSettings: settings),
    .testTarget(
      name: "FleetTests", dependencies: ["Fleet", "Regression", "Replay", "Ptrauth"],
      swiftSettings: settings),
    .testTarget(
      name: "ReplayTests", dependencies: ["Replay", "Trace", "KernelImage", "Ptrauth"],
      swiftSettings: settings),
    // Everything that the fuzzers of Tests/Fuzz, a package of its own, ever found.
    .testTarget(
      name: "FuzzTests",
      dependencies: [
        "ptrauth-trace", "Trace", "KernelImage", "Replay", "Regression", "Ptrauth",
      ],
      path: "Tests/Fuzz/Sources", exclude: ["CFuzzer", "Fuzz"], swiftSettings: settings),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "ptrauth-trace", "record-events", "Report", "Fleet", "Regression", "Recorder", "Replay",
        "Trace",
        "KernelImage", "Explorer", "Ptrauth", "Bytes", "Printing", argumentParser,
      ],
      // Read and run where they lie.
      exclude: ["Browser", "Golden", "Validators"],
      swiftSettings: settings),
  ]
)
