#include "admin/metrics/table.h"

#include <stdio.h>

static void write_table_states(struct exposition *exposition, const struct table_status *table)
{
	char labels[64];
	for (int state = TABLE_WAITING; state <= TABLE_WORKING; state++) {
		snprintf(labels, sizeof(labels), "state=\"%s\"", table_state_name((enum table_state)state));
		exposition_count(exposition, labels, table->state == (enum table_state)state);
	}
}

void table_metric_write(struct exposition *exposition, const struct table_status *table, enum table_metric metric)
{
	if (!table->is_on)
		return;
	switch (metric) {
	case TABLE_METRIC_STATE:
		write_table_states(exposition, table);
		break;
	case TABLE_METRIC_CLIENTS:
		exposition_count(exposition, "", table->clients);
		break;
	case TABLE_METRIC_EVENTS:
		exposition_count(exposition, "", table->events);
		break;
	case TABLE_METRIC_LISTINGS:
		exposition_count(exposition, "", table->listings);
		break;
	case TABLE_METRIC_RENEWED:
		exposition_number(exposition, "", table->renewed_s);
		break;
	}
}
