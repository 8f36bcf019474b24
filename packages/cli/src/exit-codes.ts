// Exit codes: 0 done, 1 a check failed (conformance, run --verify), 2 an error in the input, the options, a module or the machine, 70 a defect of softgrad;
// 130, 143 and 129 ended by Ctrl-C, SIGTERM and SIGHUP, 141 because the reader of the output closed the pipe (SIGPIPE).

export const exitInput = 2;
export const exitDefect = 70;
export const exitPipe = 141;
