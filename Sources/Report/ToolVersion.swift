/// The version of ptrauth-trace, as `--version` prints it and every document names it.
public enum ToolVersion {
  public static let number = "0.1.0"
}
