print("ptrauth-trace")
