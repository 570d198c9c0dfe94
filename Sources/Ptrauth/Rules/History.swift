// Commits and messages that several rules refer to.
extension Rule.Source {
  /// "[PATCH v7 7/10] KVM: arm/arm64: context-switch ptrauth registers", 19 March 2019.
  static func v7(_ says: String) -> Self {
    Self("1552984243-7689-8-git-send-email-amit.kachhap@arm.com", "v7: " + says)
  }
  /// As merged for 5.2.
  static func merged(_ says: String) -> Self { Self("384b40caa8af", "5.2: " + says) }
  /// "Save the host's PtrAuth keys in non-preemptible context".
  static func saveAtLoad(_ says: String) -> Self { Self("ef3e40a7ea8d", says) }
  /// "Handle PtrAuth traps early".
  static func earlyTrap(_ says: String) -> Self { Self("29eb5a3c57f7", "5.8: " + says) }
  /// "Drop trapping of PAuth instructions/keys".
  static func noTrap(_ says: String) -> Self { Self("814ad8f96e92", "6.10: " + says) }
  /// The guard reads HCR_EL2 instead of its shadow.
  static func liveGuard(_ says: String) -> Self {
    Self("20200615081954.6233-5-maz@kernel.org", "5.9: " + says)
  }
}
