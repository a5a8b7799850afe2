/* What the process is made of, by capacity/layout.h, from the settings and what this machine allows. Used once, at the
 * start. */
#ifndef CONTROL_LAYOUT_H
#define CONTROL_LAYOUT_H

#include "base/error.h"
#include "capacity/layout.h"
#include "runtime/settings.h"

/* table: what a table may hold; cores: that the process may use. Lowers settings->handshakes_max where tables are too
 * small for it. ERROR_LIMIT: said in the log, with what would be enough. */
enum error layout_plan(struct layout *layout, struct settings *settings, uint64_t table, uint32_t cores);

#endif
