extension Target {
  static let all = [commandLine]
}
