import Bytes
import Testing

struct MappedFileTests {
  @Test
  func aFileIsItsBytes() throws {
    let file = try MappedFile(path: #filePath)
    #expect(file.byteCount > 100)
    #expect(file.bytes.slice(at: 0, count: 6)?.copied() == Array("import".utf8))
  }

  @Test
  func whatIsNoFileIsSaid() {
    #expect(failure("/") == .isDirectory)
    #expect(failure("/dev/null") == .isNotRegular)
    #expect(failure("/nonexistent") == .system(2))
    #expect(SystemMessage.text(2) == "No such file or directory")
  }

  private func failure(_ path: String) -> MappedFile.Failure? {
    do throws(MappedFile.Failure) {
      _ = try MappedFile(path: path)
      return nil
    } catch {
      return error
    }
  }
}
