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

    func finder(
      _ environment: [String: String] = [:], fetch: @escaping ([UInt8]) -> String? = { _ in nil }
    )
      -> KernelImageFinder
    {
      KernelImageFinder(
        root: scratch.path + "/root",
        environment: environment.merging(["HOME": "/home/u"]) { a, _ in a },
        fetch: fetch)
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

  @Test("debuginfod is asked last, and only if DEBUGINFOD_URLS says where")
  func debuginfod() throws {
    let world = try World()
    var asked: [[UInt8]] = []
    let fetch: ([UInt8]) -> String? = {
      asked.append($0)
      return world.right
    }
    #expect(world.finder(fetch: fetch).find(buildID: world.buildID).image == nil)
    #expect(
      world.finder(["DEBUGINFOD_URLS": ""], fetch: fetch).find(buildID: world.buildID).image == nil)
    #expect(asked.isEmpty)
    let environment = ["DEBUGINFOD_URLS": "http://[::1]:1"]
    #expect(world.finder(environment, fetch: fetch).find().image == nil)
    #expect(asked.isEmpty)
    let search = world.finder(environment, fetch: fetch).find(buildID: world.buildID)
    #expect(search.image?.path == world.right && asked == [world.buildID])
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
    var asked = 0
    func find(_ buildID: [UInt8], isOffline: Bool) {
      _ = KernelImageFinder(
        root: world.scratch.path + "/root", environment: ["DEBUGINFOD_URLS": "http://[::1]:1"],
        isOffline: isOffline
      ) { _ in
        asked += 1
        return nil
      }.find(buildID: buildID)
    }
    find(world.buildID, isOffline: true)
    find([1, 2, 3], isOffline: false)
    find([UInt8](repeating: 7, count: 4000), isOffline: false)
    #expect(asked == 0)
    find(world.buildID, isOffline: false)
    #expect(asked == 1)
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
