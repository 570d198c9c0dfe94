import Bytes

/// Why a recording cannot be read: what is wrong, and where.
public struct TraceError: Error, Sendable {
  public var code: Code
  /// Path of the recording, empty when it is not known.
  public var path: String
  /// Byte offset in the file.
  public var offset: UInt64?
  /// Index of the record, counted from 0 at the start of the data.
  public var record: Int?

  public enum Code: Sendable, Equatable {
    case cannotOpen(reason: String)
    case isDirectory
    case isNotRegularFile
    case isEmpty
    case isNotPerfData
    /// A recording in file mode comes through a pipe.
    case isFileInStream
    /// Not QEMU's log of executed blocks.
    case isNoInstructionLog
    /// QEMU's log of executed blocks, where a recording is wanted.
    case isInstructionLog
    /// A trace.dat comes through a pipe.
    case isTraceDatInStream
    /// A packed recording comes through a pipe.
    case isPackedStream(String)
    case isTerminal
    case isSwappedDirectory
    case cannotUnpack(reason: String)
    /// A second pass over a stream.
    case cannotReread
    case isVersion1
    case headerSize(UInt64)
    /// `part` should have `needed` bytes and the file ends before.
    case isCut(part: String, needed: UInt64)
    /// A value of `part` cannot be.
    case isCorrupt(part: String, reason: String)
    /// The samples of `event` have no time.
    case hasNoTime(event: String)
    /// Not a recording of any kind that is read here.
    case isUnknownFormat
    /// A program or a kernel: ELF.
    case isELF
    case isNotTraceDat
    /// A trace.dat of that version.
    case traceDatVersion(String)
    /// A trace.dat whose parts are compressed so.
    case compression(String)
    /// A trace.dat of version 7 without its list of options: its writer was killed, or it is cut.
    case isWithoutOptions
    /// A trace.dat with the text of a latency tracer, or without any data.
    case hasNoEvents
    /// Several events, samples without an id in the same place.
    case cannotTellEventsApart
    case isNotFtraceText
    /// Text printed under a trace option that hides what the events are.
    case textOption(String)
    /// Output of `atrace -z`.
    case isCompressedText
    /// A stream that describes no events.
    case streamHasNoEvents
    /// One of the files with nothing but records of `perf record --threads`.
    case isPartOfDirectory
    /// Dumps of raw ring buffers that are all empty.
    case hasNoRawData
    /// The dump of one CPU's ring buffer, alone.
    case isRawBuffer
    /// Its key values cannot be replaced.
    case cannotRedact(reason: String)
    /// Event formats were asked for from where there are none.
    case hasNoFormats(reason: String)
    /// Text in two bytes a character.
    case isUTF16
    /// The JSON of Chrome's tracing; `hasText`: with the text of ftrace inside.
    case isChromeJSON(hasText: Bool)
    /// A report of this program.
    case isReport
    /// One, or summaries, on standard input or in a pipe.
    case isReportInStream
    /// Text of a tracer that shows no events.
    case isTracerText(String)
    /// Another process made it shorter while it was read.
    case hasShrunk
  }

  public init(_ code: Code, path: String = "", offset: UInt64? = nil, record: Int? = nil) {
    self.code = code
    self.path = path
    self.offset = offset
    self.record = record
  }
}

extension TraceError: CustomStringConvertible {
  public var description: String {
    var place = path
    if let offset { place += (place.isEmpty ? "" : ", ") + "byte \(offset)" }
    if let record { place += (place.isEmpty ? "" : ", ") + "record \(record)" }
    return place.isEmpty ? code.sentence : "\(place): \(code.sentence)"
  }
}

extension TraceError.Code {
  /// What is wrong, and what to do next.
  fileprivate var sentence: String {
    switch self {
    case .cannotOpen(let reason):
      "cannot open the recording: \(reason)"
    case .isDirectory:
      "this directory is no recording: it has no file `data` (as `perf record --threads` makes them) "
        + "and no raw ring buffers (cpuN.trace_pipe_raw or per_cpu/cpuN/trace_pipe_raw)"
    case .isNotRegularFile:
      "this is not a regular file; save the stream to a file first"
    case .isEmpty:
      "the file is empty; the recorder failed before it wrote anything, record again"
    case .isNotPerfData:
      "this is not a perf.data file (it does not start with PERFILE2)"
    case .isFileInStream:
      "this is a perf.data in file mode, which cannot be read from a pipe: its header points "
        + "forwards and backwards; give its path"
    case .isNoInstructionLog:
      "no line of this is a block of QEMU's log (`Trace 0: 0x... [.../...]`); make it with -d exec,nochain"
    case .isInstructionLog:
      "this is QEMU's log of executed blocks, which holds no events; `ptrauth-trace analyze -k vmlinux` "
        + "counts the passes in it"
    case .isTraceDatInStream:
      "this is a trace.dat, which cannot be read from a pipe: its parts point at one another; give "
        + "its path, or pipe `trace-cmd report -t`"
    case .isPackedStream(let format):
      "this is \(format) data, which is unpacked from files only; unpack it in the pipe, or give its "
        + "path"
    case .isTerminal:
      "standard input is a terminal; pipe a recording into it (`perf record -o - ... |`)"
    case .isSwappedDirectory:
      "this directory-mode recording was written on a big-endian machine, which is not supported; "
        + "convert it with `perf inject -i DIR -o FILE`"
    case .cannotUnpack(let reason):
      "the recording cannot be unpacked: \(reason); unpack it by hand, or copy it again"
    case .cannotReread:
      "the stream has been read and cannot be read again; save it to a file first"
    case .isVersion1:
      "this is a perf.data of version 1 (PERFFILE, before Linux 2.6.32), which is not supported; "
        + "record again with a newer perf"
    case .headerSize(let size):
      "the header says it has \(size) bytes; 104 (a file) or 16 (a stream) are possible"
    case .isCut(let part, let needed):
      "the file ends inside the \(part), which needs \(needed) bytes; copy the recording again"
    case .isCorrupt(let part, let reason):
      "corrupt \(part): \(reason)"
    case .hasNoTime(let event):
      "the samples of \(event) carry no time, so the events cannot be put in order; "
        + "record with `perf record -T`"
    case .isELF:
      "this is an ELF file, no recording; if it is the kernel's vmlinux, give it with -k, and the recording beside "
        + "it (`ptrauth-trace audit` checks its code alone)"
    case .isUnknownFormat:
      "this is neither perf.data nor trace.dat nor ftrace text; record with `perf record` or "
        + "`trace-cmd record`"
    case .isNotTraceDat:
      "this is not a trace.dat file (it does not start with 17 08 44 \"tracing\")"
    case .traceDatVersion(let version):
      "this is a trace.dat of version \(version); versions 6 and 7 can be read, see "
        + "`trace-cmd convert --file-version 7`"
    case .compression(let name):
      "the recording is compressed with \(name), which is not supported; unpack it with "
        + "`trace-cmd convert --compression none`"
    case .isWithoutOptions:
      "the list of options, which says where the events of a trace.dat of version 7 lie, is "
        + "missing: the file is cut, or its recorder was killed; copy it again, or record again"
    case .hasNoEvents:
      "the recording holds no ring-buffer data, only text or nothing (a latency tracer's "
        + "report?); record events with `trace-cmd record -e kvm`"
    case .cannotTellEventsApart:
      "several events were recorded with different sample layouts and without identifiers "
        + "(PERF_SAMPLE_IDENTIFIER), so samples cannot be told apart; record with a newer perf"
    case .isNotFtraceText:
      "no line of this text is an event of ftrace, trace-cmd report or perf script; pass the "
        + "recording itself, or its text with task, CPU, time and event in each line"
    case .textOption(let option):
      "this text was printed with the trace option `\(option)`, which leaves the events' names or "
        + "values out; turn it off (`echo no\(option) > trace_options` in the tracing directory) "
        + "and print the trace again"
    case .isCompressedText:
      "this is the compressed output of atrace, which is not supported; record without -z"
    case .streamHasNoEvents:
      "the stream ends before its first event, or its events begin before any is described; record "
        + "it again"
    case .isPartOfDirectory:
      "this is one part of a recording made with `perf record --threads`; pass its directory"
    case .hasNoRawData:
      "all raw ring buffers here are empty; those of tracefs cannot be read in place: copy each with "
        + "`cat per_cpu/cpuN/trace_pipe_raw > DIR/cpuN.trace_pipe_raw`, and events/ too"
    case .isRawBuffer:
      "this is the raw ring buffer of one CPU (a killed trace-cmd record leaves them as trace.dat.cpuN); "
        + "pass the directory it lies in, with those of the other CPUs, and the event formats"
    case .cannotRedact(let reason):
      "no copy without key values can be made: \(reason)"
    case .hasNoFormats(let reason):
      "no event formats: \(reason)"
    case .isUTF16:
      "this is text in UTF-16, as PowerShell writes it; make UTF-8 of it with `iconv -f UTF-16 -t UTF-8`"
    case .isChromeJSON(let hasText):
      hasText
        ? "this is the JSON of Chrome's tracing with the text of ftrace inside (systemTraceEvents); take that out "
          + "with `jq -r .systemTraceEvents`"
        : "this is the JSON of Chrome's tracing, which is not read; pass the recording that it was made from"
    case .isReport:
      "this is a report of ptrauth-trace and no recording; `ptrauth-trace compare` reads reports"
    case .isReportInStream:
      "these are reports or summaries of ptrauth-trace and no recording; `ptrauth-trace compare` reads them from "
        + "files alone: write them to one"
    case .isTracerText(let tracer):
      "this is text of the tracer `\(tracer)`, which shows no events and is not read"
    case .hasShrunk:
      "the file became shorter while it was read: another program writes it, or cut it; read it once it is "
        + "complete, or a copy of it"
    }
  }
}

extension TraceError.Code {
  /// What kept a file from being mapped.
  init(_ failure: MappedFile.Failure) {
    switch failure {
    case .isDirectory: self = .isDirectory
    case .isNotRegular: self = .isNotRegularFile
    case .system(let number): self = .cannotOpen(reason: SystemMessage.text(number))
    case .unpacking(let error): self = .cannotUnpack(reason: error.description)
    }
  }
}
