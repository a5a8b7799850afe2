/* Plans the process from the settings and the limits of this machine (capacity/layout.h). Used once, at the start. */
#ifndef CONTROL_LAYOUT_H
#define CONTROL_LAYOUT_H

#include "base/error.h"
#include "capacity/layout.h"
#include "runtime/settings/settings.h"

/* table: descriptors that one table may hold. cores: that the process may use. Lowers settings->handshakes_max if the
 * tables are too small for it. ERROR_LIMIT: after logging what would be enough. */
enum error layout_plan(struct layout *layout, struct settings *settings, uint64_t table, uint32_t cores);

#endif
