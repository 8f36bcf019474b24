// Exit codes: 0 done, 1 a check failed (conformance), 2 an error in the input, the options or the machine, 70 a defect of softgrad, 130 ended by Ctrl-C.

export const exitInput = 2;
export const exitDefect = 70;
