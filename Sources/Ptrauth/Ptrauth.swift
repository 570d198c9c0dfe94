// Ptrauth
