#include "control/layout.h"

#include "base/check.h"
#include "base/log.h"

static void log_table_small(const struct layout *layout, const struct settings *settings, uint32_t cores)
{
	if (settings->private_tables)
		log_write(LOG_ERROR, "a limit of %lu descriptors is too low for %u shards: at least %lu are needed",
			  layout->table, layout->shards != 0 ? layout->shards : cores, layout->table_min);
	else
		log_write(LOG_ERROR, "one table of %lu descriptors is too small: at least %lu are needed",
			  layout->table, layout->table_min);
}

static void log_capacity_short(const struct layout *layout, const struct settings *settings)
{
	if (settings->private_tables)
		log_write(LOG_WARNING,
			  "%u shards hold %lu connections, not %u: set more shards, omit --shards, or raise the "
			  "descriptor limit",
			  layout->shards, layout->capacity, settings->connections);
	else
		log_write(LOG_WARNING, "one table of %lu descriptors holds %lu connections, not %u", layout->table,
			  layout->capacity, settings->connections);
}

enum error layout_plan(struct layout *layout, struct settings *settings, uint64_t table, uint32_t cores)
{
	struct layout_request request = {
		.connections = settings->connections,
		.table = table,
		.cores = cores,
		.shards = settings->shards,
		.gates = settings->gates,
		.listeners = settings->listener_count,
		.handshakes_max = settings->handshakes_max,
		.private_tables = settings->private_tables,
		.fixed_files = settings->fixed_files,
	};
	switch (layout_make(&request, layout)) {
	case LAYOUT_TABLE_SMALL:
		log_table_small(layout, settings, cores);
		return ERROR_LIMIT;
	case LAYOUT_SHARDS_SHORT:
		log_write(LOG_ERROR, "%u connections need more than %u shards with tables of %lu descriptors",
			  settings->connections, SPREAD_SHARDS_MAX, layout->table);
		return ERROR_LIMIT;
	case LAYOUT_MADE:
		break;
	}
	CHECK_GT(layout->shards, 0);
	CHECK_LE(layout->handshakes_max, settings->handshakes_max);
	settings->handshakes_max = layout->handshakes_max;
	if (settings->connections > layout->capacity)
		log_capacity_short(layout, settings);
	return ERROR_OK;
}
