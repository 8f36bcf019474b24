// Exit codes: 0 done, 1 a check failed (conformance, run --verify), 2 an error in the input, the options, a module or the machine, 70 a defect of softgrad;
// 130, 143 and 129 ended by Ctrl-C, SIGTERM and SIGHUP.

export const exitInput = 2;
export const exitDefect = 70;
