extension Target {
  static let all =
    [
      perfData, perfPipe, traceDat, ringBufferPage, ftraceText, textStream, eventFormat, redaction,
      qemuLog, kernelImage, kernelTypes, machineCode, report, commandLine,
    ] + parsers
}
