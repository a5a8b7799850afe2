/* Opens the sockets of all listeners. Main thread, before the others start. */
#ifndef GATE_LISTENERS_H
#define GATE_LISTENERS_H

#include "base/error.h"

struct settings;

/* Opens the listeners and replaces settings->listeners by them. A name becomes one listener per address. Addresses that
 * this machine does not have are skipped as long as one is left, so that localhost works without IPv6. Logs faults.
 * Resolving a name blocks. */
enum error listeners_open(struct settings *settings);

#endif
