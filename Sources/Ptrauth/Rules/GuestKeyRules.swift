// The guest's keys: loaded at entry, saved at exit, never the host's.
extension Rule {
  public static let missedGuestSave = Rule(
    id: "missed-guest-save", title: "guest keys not saved at guest exit",
    severity: .high, isCorrectness: true,
    definition:
      "The guest ran with its keys in the registers, and guest exit did not store all ten in "
      + "the vCPU's slots.",
    consequence: "the guest's key writes are lost at the next entry: its tasks fail to "
      + "authenticate, at once or after a migration",
    proofs: [
      .events(
        "proved if a guest's trapped key write was retried with ptrauth enabled, the guest went on from there, "
          + "and the slot still holds the value of the vCPU reset; suspected if guest exit saves others of its "
          + "registers: KVM may have stepped over the write"),
      .audit("the save half of __guest_exit lacks registers, or stores them elsewhere"),
      .model("explored: a guest key write, then an exit, then an entry"),
    ],
    history: [.v7("ptrauth_switch_to_host saves the guest's ten registers first")],
    lookAt: "the save half of ptrauth_switch_to_host in __guest_exit",
    symbols: ["__guest_exit"],
    diagram: """
      guest                   key registers     guest slots
      msr APIAKEYLO_EL1, k2   k2                k1
      __guest_exit            host              k1   <-- k2 not stored
      __guest_enter           k1   <----------- k1
      autiasp: fails
      """)

  public static let missedGuestRestore = Rule(
    id: "missed-guest-restore", title: "guest ran on the host's keys",
    severity: .critical, isCorrectness: true,
    definition:
      "The guest was entered with API or APK set, and guest entry did not load its ten keys: "
      + "the host's were still in the registers.",
    consequence: "the guest can read and use the host's keys, and so forge the host's pointers",
    proofs: [
      .events(
        "suspected if after a run with ptrauth enabled a guest slot holds a key that the thread had saved as its own, "
          + "and did not before (a guest exit that saves behind its restore looks alike: missed-guest-save), if it holds "
          + "the same key as the host's slot, and whose it was is not known (missed-host-restore and host-key-leak look "
          + "alike then), or if two keys of the guest changed places"
      ),
      .audit("the code of __guest_enter lacks writes, or reads them from elsewhere"),
      .model("explored: whose keys the guest runs on"),
    ],
    history: [.v7("ptrauth_switch_to_guest loads the guest's ten registers behind its guard")],
    lookAt: "ptrauth_switch_to_guest in __guest_enter: guard, base and the ten writes",
    symbols: ["__guest_enter"],
    diagram: """
      vCPU thread                 key registers     guest slots
      __guest_enter, API=APK=1    host  <-- not loaded
      guest: mrs APIAKEYLO_EL1    host
      __guest_exit                host -----------> host's keys
      """)

  public static let hostKeyLeak = Rule(
    id: "host-key-leak", title: "guards of guest entry and exit, or HCR_EL2, disagree",
    severity: .critical, isCorrectness: true,
    definition: "Guest entry skipped the key switch, and the guest was not trapped all the same: "
      + "HCR_EL2 had a bit set that the guard did not see; or guest exit switched what guest entry had "
      + "not, and so took the host's keys for the guest's.",
    consequence:
      "the guest can use the host's keys, in this pass or from the next one on; with APK it "
      + "can read them",
    proofs: [
      .events(
        "suspected where the guard reads the shadow and traps reach the host (v7 to 5.7): clear at "
          + "kvm_vgic_flush_hwstate and set at kvm_vgic_sync_hwstate of one run, the two guards in between"
      ),
      .audit("entry and exit guard by different words"),
      .model("explored: guard and HCR_EL2 disagree"),
    ],
    history: [
      .v7("the guards read the shadow, the CPU obeys HCR_EL2"),
      .liveGuard("the guards read HCR_EL2, so that they cannot differ from the CPU"),
    ],
    lookAt: "every write of HCR_EL2 or of its shadow that does not write the other one",
    symbols: ["__guest_enter", "__activate_traps", "__kvm_vcpu_run_vhe", "__kvm_vcpu_run"],
    diagram: """
      vCPU thread                  shadow       key registers   guest slots
      __guest_enter: guard reads   0            host
        (something sets the bits)  API=APK=1
      __guest_exit: guard reads    API=APK=1    host ---------> host's keys
      __guest_enter                API=APK=1    host's keys, to the guest
      """)

  public static let keysLostInMigration = Rule(
    id: "keys-lost-in-migration", title: "vCPU resumed without its keys",
    severity: .high, isCorrectness: true,
    definition: "A vCPU began to run here in the middle of a guest kernel, and that kernel uses "
      + "pointer authentication while all ten of its slots still hold the value of the vCPU reset: "
      + "whoever brought its state here did not set its keys.",
    consequence: "every pointer that the guest signed before the migration fails to authenticate",
    proofs: [
      .events(
        "suspected if, after its reset, the vCPU's first kvm_entry is at a kernel address and it "
          + "takes a pointer authentication trap there with all ten slots at their reset value")
    ],
    history: [
      Source(
        "https://github.com/google/gvisor/issues/13542", "the same without KVM: after restore"),
      Source(
        "https://github.com/checkpoint-restore/criu/issues/2595",
        "the same without KVM: keys not carried over a checkpoint"),
    ],
    lookAt:
      "the VMM's list of registers to migrate (KVM_GET_REG_LIST), and that both feature bits are "
      + "set before it sets them: the keys are hidden from a vCPU without ptrauth",
    symbols: ["kvm_reset_vcpu"],
    diagram: """
      source                           target
      guest signs with key k
      KVM_GET_ONE_REG ..  ---------->  KVM_ARM_VCPU_INIT: slots reset
        (keys not in the list)         KVM_SET_ONE_REG ..
                                       KVM_RUN: autiasp with the reset
                                         value instead of k: fails
      """)
}
