/* `roost doctor`: what this machine allows, what breaks first, how to fix it, and what so many clients will cost. It
 * looks at the server from outside, as an operator does: of the server's code it uses net, mqtt and the arithmetic of
 * capacity. Its folders, in order: machine reads files, limits judges them, fix and show say what follows, and plan
 * measures and predicts. */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

/* argv[0] is "doctor". Returns the exit status; errors go to stderr. */
int doctor_main(int argc, char **argv);

#endif
