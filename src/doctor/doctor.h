/* `roost doctor`: what this machine allows, what breaks first, what mends it, and what so many clients will cost. It
 * shares only base, net and mqtt with the server: it looks at it from outside, as an operator would. */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

/* argv[0] is "doctor". Returns the exit status; errors go to stderr. */
int doctor_main(int argc, char **argv);

#endif
