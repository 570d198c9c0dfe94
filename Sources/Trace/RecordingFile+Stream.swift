import Bytes

extension RecordingFile {
  /// "-", a FIFO, or a file of tracefs: to be read once and in order.
  public static func isStream(_ path: String) -> Bool { ByteStream.isStream(path) }

  /// A stream begins with the magic of a packed file. Waits for its first bytes.
  static func isPacked(
    _ stream: borrowing ByteStream, _ path: String
  ) throws(TraceError) -> Bool {
    do throws(ByteStream.Failure) {
      return CompressionFormat(head: try stream.peek(6)) != nil
    } catch {
      throw TraceError(.cannotOpen(reason: SystemMessage.text(error.number)), path: path)
    }
  }

  /// All of a packed stream.
  static func unpacked(
    _ stream: borrowing ByteStream, _ path: String
  ) throws(TraceError) -> MappedFile {
    do throws(MappedFile.Failure) {
      return try MappedFile(unpacking: stream, limit: unpackedLimit)
    } catch {
      throw TraceError(TraceError.Code(error), path: path)
    }
  }

  /// A stream begins with no magic. Waits for its first bytes.
  static func isText(
    _ stream: borrowing ByteStream, _ path: String
  ) throws(TraceError) -> Bool {
    let start: [UInt8]
    do throws(ByteStream.Failure) {
      start = try stream.peek(TraceDatHeader.magic.count)
    } catch {
      throw TraceError(.cannotOpen(reason: SystemMessage.text(error.number)), path: path)
    }
    if start.starts(with: TraceDatHeader.magic) {
      throw TraceError(.isTraceDatInStream, path: path)
    }
    if try isReport(stream, start, path) { throw TraceError(.isReportInStream, path: path) }
    return !start.isEmpty && !StreamHeader.isPerfData(start)
  }

  /// What `compare` reads, from files. Waits for more only where no recording begins as this does.
  private static func isReport(
    _ stream: borrowing ByteStream, _ start: [UInt8], _ path: String
  ) throws(TraceError) -> Bool {
    guard start.first == UInt8(ascii: "{") || start.first == UInt8(ascii: "[") else { return false }
    do throws(ByteStream.Failure) {
      return ForeignText(try stream.peek(64))?.code == .isReport
    } catch {
      throw TraceError(.cannotOpen(reason: SystemMessage.text(error.number)), path: path)
    }
  }

  static func perfData(
    _ stream: consuming ByteStream, _ path: String, _ formats: String?
  ) throws(TraceError) -> PerfDataFile {
    do throws(TraceError) {
      var supplied: EventFormats?
      if let formats { supplied = try EventFormats(at: formats) }
      return try PerfDataFile(stream: stream, path: path, formats: supplied)
    } catch {
      guard error.path.isEmpty else { throw error }
      throw TraceError(error.code, path: path, offset: error.offset, record: error.record)
    }
  }
}
