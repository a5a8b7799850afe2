/* `roost doctor`: what this machine allows, what breaks first, how to fix it, and what so many clients will cost. It
 * looks at the server from outside, as an operator does: of the server's code it uses net, mqtt and the arithmetic of
 * capacity. Its folders, in order: machine reads files, limits judges them, fix and show say what follows, and plan
 * measures and predicts. */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

/* argv[0] is "doctor". Returns the exit status, enum cli_exit; CLI_EXIT_FAILED: something allows fewer connections than
 * were asked for, or could not be set or measured. Errors go to stderr. */
int doctor_main(int argc, char **argv);

#endif
