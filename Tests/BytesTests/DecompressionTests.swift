import Bytes
import Glibc
import Testing

/// Small files that unpack to large ones.
struct DecompressionTests {
  /// A zstd frame (RFC 8878) of `count` blocks, each 128 KiB of zeros in 4 bytes.
  private static func bomb(_ count: Int) -> [UInt8] {
    // Magic, no checksum and no size, a window of 128 KiB.
    var frame: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3]
    for number in 1...count {
      let header = (number == count ? 1 : 0) | 1 << 1 | 1 << 20
      frame += [UInt8(header & 0xff), UInt8(header >> 8 & 0xff), UInt8(header >> 16), 0]
    }
    return frame
  }

  private func failure(_ bytes: [UInt8], limit: UInt64) -> DecompressionError? {
    let path = "/tmp/ptrauth-trace-bomb-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    guard let file = unsafe fopen(path, "w") else { return nil }
    unsafe fwrite(bytes, 1, bytes.count, file)
    unsafe fclose(file)
    defer { unsafe unlink(path) }
    do throws(MappedFile.Failure) {
      let map = try MappedFile(path: path, unpackedLimit: limit)
      #expect(map.byteCount > bytes.count)
      return nil
    } catch {
      guard case .unpacking(let failure) = error else { return nil }
      return failure
    }
  }

  @Test func aBombIsRefused() throws {
    #expect(failure(Self.bomb(512), limit: 4 << 30) == nil, "64 MiB are given to all")
    let refused = try #require(failure(Self.bomb(513), limit: 4 << 30))
    #expect(refused.code == .tooLarge)
    #expect(refused.description.contains("256 times its size (64 MiB)"))
    let small = try #require(failure(Self.bomb(100), limit: 4 << 20))
    #expect(small.description.contains("more than 4 MiB"))
  }

  /// The same in the compressed records of a perf.data.
  @Test func aStreamOfRecordsIsNoBomb() throws {
    func unpack(_ count: Int) throws(ZstdStream.Failure) {
      let bytes = Self.bomb(count)
      var chunks = RecordChunks()
      let lane = try chunks.addZstdLane()
      var position = 0
      while try chunks.inflate(lane, bytes.rawBytes, from: &position) {
        chunks.didParse(lane, upTo: .max)
        chunks.release(before: chunks.number(lane))
      }
    }
    #expect(throws: Never.self) { try unpack(500) }
    #expect(throws: ZstdStream.Failure.self) { try unpack(600) }
  }

  @Test func aLinkLeadsOut() throws {
    let base = "/tmp/ptrauth-trace-links-\(getpid())"
    for folder in ["", "/in", "/in/deep", "/out", "/inside"] { unsafe mkdir(base + folder, 0o700) }
    for file in ["/in/deep/a", "/out/b", "/inside/c"] {
      if let made = unsafe fopen(base + file, "w") { unsafe fclose(made) }
    }
    unsafe symlink("deep/a", base + "/in/near")
    unsafe symlink("../out/b", base + "/in/far")
    unsafe symlink("../inside/c", base + "/in/alike")
    unsafe symlink("nowhere", base + "/in/broken")
    defer {
      for name in ["near", "far", "alike", "broken", "deep/a", "../out/b", "../inside/c"] {
        unsafe unlink("\(base)/in/\(name)")
      }
      for folder in ["/in/deep", "/in", "/out", "/inside", ""] { unsafe rmdir(base + folder) }
    }
    #expect(Folder.isInside(base + "/in/deep/a", base + "/in"))
    #expect(Folder.isInside(base + "/in/near", base + "/in"))
    for name in ["far", "alike", "broken", "nothing", "../out/b"] {
      #expect(!Folder.isInside("\(base)/in/\(name)", base + "/in"), "\(name)")
    }
  }
}
