/* Opens the sockets of all listeners. Main thread, before the others start. */
#ifndef GATE_LISTENERS_H
#define GATE_LISTENERS_H

#include "base/error.h"

#include <stdint.h>

struct listener;
struct settings;

/* Binds the listeners and replaces settings->listeners by them; connections are refused until listeners_begin(). A name
 * becomes one listener per address. Addresses that this machine does not have are skipped as long as one is left, so
 * that localhost works without IPv6. Those that the previous program left are taken over where they are still
 * configured, and have no descriptor in `inherited` then; where there are such, one that cannot be opened is left out:
 * the clients that came with them are worth more. Logs faults. Resolving a name blocks. */
enum error listeners_open(struct settings *settings, struct listener *inherited, uint32_t inherited_count);
/* From here on the kernel takes connections. Logs faults. Before the main thread closes its copies. */
enum error listeners_begin(const struct settings *settings);
/* Nobody accepts any more: removes the files of unix sockets. */
void listeners_end(const struct settings *settings);

#endif
