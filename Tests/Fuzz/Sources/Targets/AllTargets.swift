extension Target {
  static let all =
    [
      perfData, perfPipe, traceDat, ringBufferPage, ftraceText, textStream, eventFormat, redaction,
      qemuLog, kernelImage, kernelTypes, machineCode, report,
    ] + parsers + commands

  #if FUZZING
    /// A program of their own.
    private static let commands: [Target] = []
  #else
    private static let commands = [commandLine]
  #endif
}
