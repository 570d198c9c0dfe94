import Glibc

/// The system's words for an `errno`.
public enum SystemMessage {
  public static func text(_ number: Int32) -> String {
    guard let text = unsafe strerror(number) else { return "error \(number)" }
    return unsafe String(cString: text)
  }
}
