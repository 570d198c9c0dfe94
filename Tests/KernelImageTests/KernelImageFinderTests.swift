import KernelImage
import Testing

@Suite("Finding the kernel")
struct KernelImageFinderTests {
  /// Two small kernels that differ, and a root to place copies in.
  private struct World {
    let scratch: Scratch
    let right: String
    let wrong: String
    let buildID: [UInt8]
    let hex: String

    init() throws {
      scratch = try Scratch()
      right = try SyntheticKernel.build(
        SyntheticKernel.Marks(), in: scratch.directory("right"))
      wrong = try SyntheticKernel.build(
        SyntheticKernel.Marks(hypHandler: true), in: scratch.directory("wrong"))
      buildID = try #require(try KernelImage(path: right).buildID)
      hex = buildID.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    func place(_ file: String, at path: String) throws -> String {
      let directory = path.split(separator: "/").dropLast().joined(separator: "/")
      _ = try scratch.directory("root/" + directory)
      let target = "\(scratch.path)/root/\(path)"
      try run("cp", [file, target])
      return target
    }

    var recording: String { get throws { try scratch.directory("root/recording") } }

    func finder(_ environment: [String: String] = [:], isOffline: Bool = false) -> KernelImageFinder
    {
      KernelImageFinder(
        root: scratch.path + "/root",
        environment: environment.merging(["HOME": "/home/u"]) { a, _ in a },
        isOffline: isOffline)
    }

    /// A directory for PATH with a debuginfod-find that notes what it is asked, and then does `script`.
    func client(_ script: String) throws -> String {
      let directory = try scratch.directory("bin")
      try write(
        Array("#!/bin/sh\necho \"$@\" >> '\(scratch.path)/asked'\n\(script)\n".utf8),
        to: directory + "/debuginfod-find")
      try run("chmod", ["+x", directory + "/debuginfod-find"])
      return directory
    }

    /// What the client was asked, a line each.
    var asked: [String] {
      get throws {
        let lines = try run("sh", ["-c", "cat '\(scratch.path)/asked' 2>/dev/null || true"])
        return lines.split(separator: "\n").map(String.init)
      }
    }
  }

  @Test("each place is searched")
  func places() throws {
    let world = try World()
    let (head, tail) = (world.hex.prefix(2), world.hex.dropFirst(2))
    let places = [
      "recording/vmlinux", "recording/vmlinux-6.1.0", "recording/kernel.debug",
      "home/u/.debug/.build-id/\(head)/\(tail)/elf",
      "home/u/.debug/.build-id/\(head)/\(tail)/vmlinux",
      "home/u/.debug/.build-id/\(head)/\(tail)/debug",
      "home/u/.debug/[kernel.kallsyms]/\(world.hex)/vmlinux",
      "usr/lib/debug/.build-id/\(head)/\(tail).debug", "usr/lib/debug/boot/vmlinux-6.1.0",
      "usr/lib/debug/lib/modules/6.1.0/vmlinux", "boot/vmlinux-6.1.0",
      "lib/modules/6.1.0/build/vmlinux",
    ]
    for place in places {
      let path = try world.place(world.right, at: place)
      let search = try world.finder().find(
        buildID: world.buildID, osRelease: "6.1.0", recordingDirectory: world.recording)
      #expect(search.image?.path == path, "\(place)")
      #expect(search.verification == .buildID)
      #expect(search.mismatches.isEmpty && search.failures.isEmpty)
      try run("rm", [path])
    }
    let path = try world.place(world.right, at: "cache/.build-id/\(head)/\(tail)/elf")
    let search = world.finder(["PERF_BUILDID_DIR": "/cache"]).find(buildID: world.buildID)
    #expect(search.image?.path == path)
  }

  @Test("another build-id is passed over and named")
  func mismatch() throws {
    let world = try World()
    let beside = try world.place(world.wrong, at: "recording/vmlinux")
    _ = try world.place(world.wrong, at: "boot/vmlinux-6.1.0")
    let other = try KernelImage(path: world.wrong).buildID
    var search = try world.finder().find(
      buildID: world.buildID, recordingDirectory: world.recording)
    #expect(search.image == nil && search.verification == nil)
    #expect(search.mismatches.map(\.path) == [beside])
    #expect(search.mismatches.map(\.buildID) == [other])

    let right = try world.place(world.right, at: "lib/modules/6.1.0/build/vmlinux")
    search = try world.finder().find(
      explicitPath: world.wrong, buildID: world.buildID, osRelease: "6.1.0",
      recordingDirectory: world.recording)
    #expect(search.image?.path == right)
    #expect(search.mismatches.map(\.path).first == world.wrong)
    #expect(search.mismatches.count == 3)
  }

  @Test("without a build-id only what lies beside the recording, or was named, is taken")
  func unverified() throws {
    let world = try World()
    _ = try world.place(world.right, at: "boot/vmlinux-6.1.0")
    var search = try world.finder().find(osRelease: "6.1.0", recordingDirectory: world.recording)
    #expect(search.image == nil)
    let beside = try world.place(world.wrong, at: "recording/vmlinux")
    search = try world.finder().find(osRelease: "6.1.0", recordingDirectory: world.recording)
    #expect(search.image?.path == beside && search.verification == .unverifiedByBuildID)
    search = try world.finder().find(
      explicitPath: world.right, buildID: [], recordingDirectory: world.recording)
    #expect(search.image?.path == world.right && search.verification == .unverifiedByBuildID)
  }

  @Test("compressed and broken files beside the recording")
  func besides() throws {
    let world = try World()
    let broken = try world.place(world.right, at: "recording/vmlinux")
    try write(Array("not a kernel".utf8), to: broken)
    let packed = try world.place(world.right, at: "recording/vmlinux.slim")
    try run("xz", [packed])
    let search = try world.finder().find(
      buildID: world.buildID, recordingDirectory: world.recording)
    #expect(search.image?.path == packed + ".xz")
    #expect(search.failures.map(\.code) == [.notELF])
  }

  private static let servers = ["DEBUGINFOD_URLS": "http://[::1]:1"]

  @Test("debuginfod is asked last, and only if DEBUGINFOD_URLS says where")
  func debuginfod() throws {
    let world = try World()
    let path = ["PATH": "/nonexistent:\(try world.client("echo '\(world.right)'"))"]
    #expect(world.finder(path).find(buildID: world.buildID).image == nil)
    var environment = path.merging(["DEBUGINFOD_URLS": ""]) { a, _ in a }
    #expect(world.finder(environment).find(buildID: world.buildID).image == nil)
    environment = path.merging(Self.servers) { a, _ in a }
    #expect(world.finder(environment).find().image == nil)
    #expect(try world.asked.isEmpty)
    var search = world.finder(environment).find(buildID: world.buildID)
    #expect(search.image?.path == world.right && search.verification == .buildID)
    #expect(try world.asked == ["debuginfo \(world.hex)"])

    let beside = try world.place(world.right, at: "recording/vmlinux")
    search = try world.finder(environment).find(
      buildID: world.buildID, recordingDirectory: world.recording)
    #expect(try search.image?.path == beside && world.asked.count == 1)
  }

  @Test("what debuginfod's client does not bring is said, with what to do")
  func debuginfodFails() throws {
    let world = try World()
    func failure(_ script: String) throws -> KernelImageError? {
      let environment = ["PATH": try world.client(script)].merging(Self.servers) { a, _ in a }
      let search = world.finder(environment).find(buildID: world.buildID)
      #expect(search.image == nil && search.failures.count == 1)
      return search.failures.first
    }
    let none = try #require(try failure("echo 'Server query failed' >&2; exit 1"))
    #expect(none.code == .notServed && none.description.contains("-v debuginfo \(world.hex)"))
    #expect(try failure("echo relative/vmlinux")?.code == .notServed)
    #expect(try failure("true")?.code == .notServed)
    #expect(try failure("echo /nonexistent/vmlinux")?.code == .unreadable)
    #expect(try failure("head -c 100000 /dev/zero")?.code == .notServed)
    // Another kernel is not taken, whoever serves it.
    let environment = ["PATH": try world.client("echo '\(world.wrong)'")]
      .merging(Self.servers) { a, _ in a }
    let search = world.finder(environment).find(buildID: world.buildID)
    #expect(search.image == nil && search.mismatches.map(\.path) == [world.wrong])
  }

  @Test("without debuginfod's client on PATH that is said, and a relative PATH leads to none")
  func debuginfodIsMissing() throws {
    let world = try World()
    let directory = try world.client("echo '\(world.right)'")
    let here = try run("pwd", []).split(separator: "\n").first.map(String.init) ?? ""
    let up = here.split(separator: "/").map { _ in "../" }.joined()
    for path in ["", "/nonexistent", "\(up)\(directory.dropFirst())"] {
      let environment = ["PATH": path].merging(Self.servers) { a, _ in a }
      let search = world.finder(environment).find(buildID: world.buildID)
      #expect(search.image == nil && search.failures.map(\.code) == [.notAsked], "\(path)")
      let words = try #require(search.failures.first?.description)
      #expect(words.contains("apt install debuginfod") && words.contains("-k"))
    }
    #expect(try world.asked.isEmpty)
  }

  @Test("names from a recording do not lead out of their directories")
  func hostileNames() throws {
    let world = try World()
    _ = try world.place(world.right, at: "boot/vmlinux-x")
    _ = try scratchDirectory(world, "usr/lib/debug/boot/vmlinux-a")
    let search = world.finder().find(
      buildID: world.buildID, osRelease: "a/../../../../../boot/vmlinux-x")
    #expect(search.image == nil)
    #expect(world.finder().find(buildID: [1], recordingDirectory: "/no/such").image == nil)
  }

  @Test("links out of the build-id cache and out of a sysroot are not followed, those inside are")
  func links() throws {
    let world = try World()
    let cache = "home/u/.debug/.build-id/\(world.hex.prefix(2))"
    let folder = try scratchDirectory(world, cache)
    let kept = try scratchDirectory(world, "home/u/.debug/kernel/\(world.hex)")
    try run("ln", ["-s", kept, "\(folder)/\(world.hex.dropFirst(2))"])
    // As perf lays it out: a link of the build-id to the folder of the file, in the same cache.
    let link = "\(folder)/\(world.hex.dropFirst(2))/elf"
    try run("cp", [world.right, kept + "/elf"])
    #expect(world.finder().find(buildID: world.buildID).image?.path == link)
    try run("ln", ["-sf", world.right, kept + "/elf"])
    var search = world.finder().find(buildID: world.buildID)
    #expect(search.image == nil && search.failures.map(\.code) == [.leadsOut])
    #expect(search.failures.first?.description.contains("leads out of") == true)
    try run("rm", [kept + "/elf"])

    let boot = try scratchDirectory(world, "boot")
    try run("ln", ["-s", world.right, boot + "/vmlinux-6.1.0"])
    search = world.finder().find(buildID: world.buildID, osRelease: "6.1.0")
    #expect(search.image == nil && search.failures.map(\.code) == [.leadsOut])
  }

  @Test("what is no build-id is sent nowhere, and offline nothing is")
  func nothingLeaves() throws {
    let world = try World()
    let environment = ["PATH": try world.client("exit 1")].merging(Self.servers) { a, _ in a }
    func find(_ buildID: [UInt8], isOffline: Bool) {
      _ = world.finder(environment, isOffline: isOffline).find(buildID: buildID)
    }
    find(world.buildID, isOffline: true)
    find([1, 2, 3], isOffline: false)
    find([UInt8](repeating: 7, count: 4000), isOffline: false)
    #expect(try world.asked.isEmpty)
    find(world.buildID, isOffline: false)
    #expect(try world.asked.count == 1)
  }

  @Test("what stands in a file that is no kernel is not said")
  func contentsAreNotSaid() throws {
    let world = try World()
    let path = try world.place(world.right, at: "recording/vmlinux")
    try write(Array("root:secret-hash:1:".utf8), to: path)
    let search = world.finder().find(
      buildID: world.buildID, recordingDirectory: try world.recording)
    let words = try #require(search.failures.first?.description)
    #expect(words.contains("is text, not an ELF file") && !words.contains("secret"))
  }

  private func scratchDirectory(_ world: World, _ path: String) throws -> String {
    try world.scratch.directory("root/" + path)
  }
}
