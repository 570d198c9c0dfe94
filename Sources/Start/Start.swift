import ptrauth_trace

@main enum Start {
  static func main() { Program.main() }
}
