/// One way into the libraries for bytes that a stranger wrote. It comes back, whatever they are.
struct Target: Sendable {
  /// As on the command line of `fuzz`, and the name of its folders in Seeds/ and Corpus/.
  let name: String
  let run: @Sendable (_ bytes: [UInt8], _ scratch: Scratch) -> Void
}
