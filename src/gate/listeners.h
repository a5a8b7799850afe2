/* The sockets of all listeners, by the main thread before the others start. */
#ifndef GATE_LISTENERS_H
#define GATE_LISTENERS_H

#include "base/error.h"

struct settings;

/* Opens them. A name becomes one listener for each of its addresses; those that this machine does not have are left out
 * as long as one is left, so that localhost works where there is no IPv6. Logs what was wrong. Resolving a name blocks.
 */
enum error listeners_open(struct settings *settings);

#endif
