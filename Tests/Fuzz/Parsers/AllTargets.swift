extension Target {
  static let all = parsers
}
